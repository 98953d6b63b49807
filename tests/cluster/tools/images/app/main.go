// Command app is the workload of the demo and of the tests: it tells its version on $LISTEN (":8080") until SIGTERM.
// With the argument "once" it tells it to its log and ends well, as init containers and Jobs do.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	version := os.Getenv("VERSION")
	if len(os.Args) > 1 && os.Args[1] == "once" {
		log.Printf("app %q", version)
		return
	}
	address := os.Getenv("LISTEN")
	if address == "" {
		address = ":8080"
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	server := &http.Server{
		Addr:              address,
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, version)
		}),
	}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	log.Printf("app %q listens on %s", version, server.Addr)
	<-ctx.Done()
	server.Close()
}

"""A mutating webhook that is not ours: it adds a sidecar to Deployments, as meshes do."""

import base64
import http.server
import json
import ssl
import subprocess
import threading


class SidecarInjector:
    """Serves one namespace. `on_call`, where set, is called once, while the API server waits for the answer."""

    def __init__(self, kubectl, host, ns, image, tmp):
        self.kubectl, self.name = kubectl, f"zz-sidecar-{ns}"
        self.sidecar = {"name": "side", "image": image, "imagePullPolicy": "Always", "env": []}
        self.on_call = None
        self.calls = 0
        key, certificate = tmp / f"{ns}.key", tmp / f"{ns}.crt"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", certificate, "-days", "1", "-subj", "/CN=injector",
                        "-addext", f"subjectAltName=IP:{host}"], check=True, capture_output=True)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = json.dumps(outer.answer(json.loads(body)["request"])).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        self.server = http.server.ThreadingHTTPServer((host, 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        # Named to come after Tidemark's: the API server calls mutating webhooks in the order of their names.
        kubectl.apply({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.name},
            "webhooks": [{"name": "sidecar.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                          "failurePolicy": "Fail", "timeoutSeconds": 30,
                          "clientConfig": {"url": f"https://{host}:{self.server.server_address[1]}/",
                                           "caBundle": base64.b64encode(certificate.read_bytes()).decode()},
                          "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
                          "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
                                     "operations": ["CREATE", "UPDATE"]}]}]})

    def answer(self, request):
        self.calls += 1
        hook, self.on_call = self.on_call, None
        if hook:
            hook()
        response = {"uid": request["uid"], "allowed": True}
        containers = request["object"]["spec"]["template"]["spec"]["containers"]
        found = next((index for index, container in enumerate(containers) if container["name"] == "side"), None)
        if found is None or containers[found].get("env", []) != self.sidecar["env"]:
            op, place = ("add", "-") if found is None else ("replace", found)
            patch = [{"op": op, "path": f"/spec/template/spec/containers/{place}", "value": self.sidecar}]
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}

    def stop(self):
        self.kubectl("delete", "mutatingwebhookconfiguration", self.name)
        self.server.shutdown()
        self.server.server_close()

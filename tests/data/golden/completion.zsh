#compdef tidemark-sweeper kubectl-tidemark
# zsh completion: source <(tidemark-sweeper completion zsh)
_tidemark_sweeper() {
  local line directive=4
  local -a candidates
  for line in ${(f)"$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)"}; do
    case $line in
      :*) directive=${line#:} ;;
      *) candidates+=("$line") ;;
    esac
  done
  if ((directive & 2)); then compadd -S '' -a candidates; else compadd -a candidates; fi
  if ! ((directive & 4)); then _files; fi
}
if [ "$funcstack[1]" = "_tidemark_sweeper" ]; then
  _tidemark_sweeper
else
  compdef _tidemark_sweeper tidemark-sweeper kubectl-tidemark
fi

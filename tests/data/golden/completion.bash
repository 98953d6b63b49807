# bash completion: source <(tidemark-sweeper completion bash)
_tidemark_sweeper() {
  local line directive=4
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) directive=${line#:} ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if ((directive & 2)); then compopt -o nospace 2>/dev/null; fi
  if ! ((directive & 4)); then compopt -o default 2>/dev/null; fi
}
complete -F _tidemark_sweeper tidemark-sweeper kubectl-tidemark

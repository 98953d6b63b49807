# fish completion: tidemark-sweeper completion fish | source
function __tidemark_sweeper_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
    string match -q ':*' -- $line; or echo $line
  end
end
complete -c tidemark-sweeper -f -a '(__tidemark_sweeper_complete)'
complete -c kubectl-tidemark -f -a '(__tidemark_sweeper_complete)'

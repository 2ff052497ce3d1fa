#compdef tallyman
# Completion of tallyman(8), written by `tallyman check --print zsh`.

local curcontext=$curcontext state line ret=1
typeset -A opt_args
_arguments -C '(-)'{-h,--help}'[Print the list of commands]' \
    '1: :->command' '*:: :->arguments' && ret=0
case $state in
command)
    local -a commands=(
        run:'Run the agent in the foreground'
        check:'Say whether configuration and rule files are right'
        rules:'Test rule files by unit tests in promtool'\''s format'
        metrics:'Collect once and print the metrics'
        audit:'Say whether containers, images and the engine are set up safely'
        top:'Show what a running agent knows, in a terminal'
        receive:'Receive records of the forward protocol and print them as JSON lines'
        healthcheck:'Ask a running agent whether it is healthy'
        version:'Print the version'
        help:'Print the list of commands'
    )
    _describe -t commands command commands && ret=0
    ;;
arguments)
    case $words[1] in
    run)
        _arguments -s \
            '*'{-c,--config}'[The configuration]:FILE:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    check)
        _arguments -s \
            '*'{-p,--print}'[Print a document instead]:WHAT:(defaults configuration metrics posture tallyman.8 tallyman.yml.5 bash zsh fish)' \
            '*:file:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    rules)
        _arguments -s \
            '1: :(test)' \
            '*:file:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    metrics)
        _arguments -s \
            '*'{-c,--config}'[The configuration]:FILE:_files' \
            '*'{-t,--timeout}'[How long collectors may take to get ready]:DURATION: ' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    audit)
        _arguments -s \
            '*'{-c,--config}'[The configuration]:FILE:_files' \
            '*'{-f,--format}'[table (the default), json, sarif or junit]:FORMAT:(table json sarif junit)' \
            '*'{-s,--fail-on}'[The least severity that makes the exit code 1]:SEVERITY:(low medium high critical)' \
            '*'{-n,--container}'[This container alone, by name or id]:NAME: ' \
            '*'{-i,--image}'[This image alone, by name or id]:REF: ' \
            '*'{-j,--inspect}'[What `docker inspect` printed, of containers or images, instead of an engine]:FILE:_files' \
            '*'{-a,--all}'[Also what passes, does not apply, or could not be decided]' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    top)
        _arguments -s \
            '*'{-i,--interval}'[Ask so often]:SECONDS: ' \
            '*'{-s,--sort}'[attention (the default), name, state, cpu, memory, net, disk, restarts, lag or failed]:KEY:(attention name state cpu memory net disk restarts lag failed)' \
            '*'{-r,--reverse}'[The other way round]' \
            '*'{-f,--filter}'[Only containers that have all these words in their name, image, project, id, state or health]:WORDS: ' \
            '*'{-w,--show}'[all (the default), attention, running, stopped or unhealthy]:WHICH:(all attention running stopped unhealthy)' \
            '*'{-1,--once}'[Print one text and end, also in a terminal]' \
            '*'{-n,--count}'[Print N texts, one after the other, and end]:N: ' \
            '*'{-c,--config}'[The agent'\''s configuration]:FILE:_files' \
            '*'{-u,--url}'[Ask this address instead of the configured one]:URL: ' \
            '*'{-A,--ca-file}'[Trust the authorities in this file]:FILE:_files' \
            '*'{-C,--cert-file}'[The certificate to show where the agent asks for one]:FILE:_files' \
            '*'{-K,--key-file}'[Its key]:FILE:_files' \
            '*'{-U,--user}'[The name for basic authentication]:NAME: ' \
            '*'{-P,--password-file}'[Its password, in a file that others must not read]:FILE:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    receive)
        _arguments -s \
            '*'{-l,--listen}'[Where to listen]:ADDR: ' \
            '*'{-o,--output}'[Append to this file instead of printing to standard output]:FILE:_files' \
            '*'{-s,--fsync}'[Acknowledge only what has reached the disk]' \
            '*'{-r,--raw-bytes}'[Leave bytes that are not UTF-8 as they are, instead of showing U+FFFD for each]' \
            '*'{-n,--count}'[Stop when N records have come, with the frame that holds the Nth]:N: ' \
            '*'{-q,--quiet}'[Print no records]' \
            '*'{-a,--no-ack}'[Acknowledge nothing, to see what a sender makes of it]' \
            '*'{-p,--port-file}'[Write the port of the first address to this file when it is open]:FILE:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    healthcheck)
        _arguments -s \
            '*'{-c,--config}'[The agent'\''s configuration]:FILE:_files' \
            '*'{-u,--url}'[Ask this address instead of the configured one]:URL: ' \
            '*'{-A,--ca-file}'[Trust the authorities in this file]:FILE:_files' \
            '*'{-C,--cert-file}'[The certificate to show where the agent asks for one]:FILE:_files' \
            '*'{-K,--key-file}'[Its key]:FILE:_files' \
            '*'{-U,--user}'[The name for basic authentication]:NAME: ' \
            '*'{-P,--password-file}'[Its password, in a file that others must not read]:FILE:_files' \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    version)
        _arguments -s \
            '(- *)'{-h,--help}'[Print what the command knows]' && ret=0
        ;;
    esac
    ;;
esac
return ret

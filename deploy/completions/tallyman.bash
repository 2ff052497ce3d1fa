# Completion of tallyman(8), written by `tallyman check --print bash`.
# shellcheck shell=bash

_tallyman()
{
    local command=${COMP_WORDS[1]} previous=${COMP_WORDS[COMP_CWORD-1]}
    local current=${COMP_WORDS[COMP_CWORD]} words='' files=''
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        command='' words='run check rules metrics audit top receive healthcheck version help -h --help'
    fi
    case $command:$previous in
    run:-c | run:--config) files=yes ;;
    check:-p | check:--print) words='defaults configuration metrics posture tallyman.8 tallyman.yml.5 bash zsh fish' ;;
    metrics:-c | metrics:--config) files=yes ;;
    metrics:-t | metrics:--timeout) return ;;
    audit:-c | audit:--config) files=yes ;;
    audit:-f | audit:--format) words='table json sarif junit' ;;
    audit:-s | audit:--fail-on) words='low medium high critical' ;;
    audit:-n | audit:--container) return ;;
    audit:-i | audit:--image) return ;;
    audit:-j | audit:--inspect) files=yes ;;
    top:-i | top:--interval) return ;;
    top:-s | top:--sort) words='attention name state cpu memory net disk restarts lag failed' ;;
    top:-f | top:--filter) return ;;
    top:-w | top:--show) words='all attention running stopped unhealthy' ;;
    top:-n | top:--count) return ;;
    top:-c | top:--config) files=yes ;;
    top:-u | top:--url) return ;;
    top:-A | top:--ca-file) files=yes ;;
    top:-C | top:--cert-file) files=yes ;;
    top:-K | top:--key-file) files=yes ;;
    top:-U | top:--user) return ;;
    top:-P | top:--password-file) files=yes ;;
    receive:-l | receive:--listen) return ;;
    receive:-o | receive:--output) files=yes ;;
    receive:-n | receive:--count) return ;;
    receive:-p | receive:--port-file) files=yes ;;
    healthcheck:-c | healthcheck:--config) files=yes ;;
    healthcheck:-u | healthcheck:--url) return ;;
    healthcheck:-A | healthcheck:--ca-file) files=yes ;;
    healthcheck:-C | healthcheck:--cert-file) files=yes ;;
    healthcheck:-K | healthcheck:--key-file) files=yes ;;
    healthcheck:-U | healthcheck:--user) return ;;
    healthcheck:-P | healthcheck:--password-file) files=yes ;;
    esac
    if [[ -z $words$files && $current == -* ]]; then
        case $command in
        run) words='-c --config -h --help' ;;
        check) words='-p --print -h --help' ;;
        rules) words='-h --help' ;;
        metrics) words='-c --config -t --timeout -h --help' ;;
        audit) words='-c --config -f --format -s --fail-on -n --container -i --image -j --inspect -a --all -h --help' ;;
        top) words='-i --interval -s --sort -r --reverse -f --filter -w --show -1 --once -n --count -c --config -u --url -A --ca-file -C --cert-file -K --key-file -U --user -P --password-file -h --help' ;;
        receive) words='-l --listen -o --output -s --fsync -r --raw-bytes -n --count -q --quiet -a --no-ack -p --port-file -h --help' ;;
        healthcheck) words='-c --config -u --url -A --ca-file -C --cert-file -K --key-file -U --user -P --password-file -h --help' ;;
        version) words='-h --help' ;;
        esac
    elif [[ -z $words$files ]]; then
        case $command in
        check) files=yes ;;
        rules) ((COMP_CWORD == 2)) && words='test' || files=yes ;;
        esac
    fi
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
    if [[ -n $words ]]; then
        mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$words" -- "$current")
    fi
}
complete -F _tallyman tallyman

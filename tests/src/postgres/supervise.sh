# Holds one PostgreSQL server for a test process, and ends it when that process ends, however it does:
# the orders come through a pipe that only the test process can write to, and that breaks with it.
#
#   supervise.sh BINARIES FOLDER DATA SETTING…
#
# FOLDER is ours and goes in the end. Orders, a line each, answered by a line "done" each:
#   start PORT   makes DATA if it isn't there, and starts; whether it comes up is for the caller to see
#   crash        the postmaster and all that it started, at once and without a word
#   stop         sessions are ended, what is in memory is written
binaries=$1 folder=$2 data=$3
shift 3
cd "$folder" || exit

# It says `ended` when it has: nobody else can tell a zombie from a postmaster that is starting.
start() {
    rm -f pid ended
    {
        "$binaries/postgres" -D "$data" -p "$port" "$@" </dev/null >>log 2>&1 &
        echo $! >pid
        wait $!
        echo "postgres ended: $?" >>log
        touch ended
    } >/dev/null 2>&1 &
    until [ -s pid ]; do sleep 0.01; done
}

running() {
    [ -s pid ] && [ ! -e ended ]
}

children() {
    cat "/proc/$1/task/$1/children" 2>/dev/null ||
        ps -A -o ppid= -o pid= | while read -r parent child; do
            if [ "$parent" = "$1" ]; then echo "$child"; fi
        done
}

# Stopped first, so that it neither starts another nor mourns the first to go.
crash() {
    postmaster=$(cat pid)
    kill -STOP "$postmaster"
    # shellcheck disable=SC2046 # one word a process
    kill -KILL $(children "$postmaster") "$postmaster"
    wait
}

while read -r order port; do
    case $order in
    start)
        [ -f "$data/PG_VERSION" ] || "$binaries/initdb" --pgdata="$data" --username=postgres \
            --pwfile=password --auth=md5 --encoding=UTF8 --no-locale --no-sync \
            --no-instructions </dev/null >>log 2>&1
        start "$@"
        ;;
    crash) if running; then crash 2>>log; fi ;;
    stop) if running; then kill -INT "$(cat pid)" && wait; fi ;;
    esac
    echo done
done

# Nobody is left to give orders. It may have been stopped (SIGSTOP), and must wake up to go.
if running; then
    kill -QUIT "$(cat pid)"
    kill -CONT "$(cat pid)"
    wait
fi
cd / && rm -rf "$folder"

# One PgBouncer for one test program, which ends with its standard input, however the program ends.
# $1: the program; $2: the settings; $3: the line of the user.
set -eu
dir=$(mktemp -d "${TMPDIR:-/tmp}/tokenberg-pgbouncer.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$dir"' EXIT
trap '' INT
umask 077
printf '%s\n' "$3" >"$dir/users"
printf '%s' "$CERTIFICATE" >"$dir/server.crt"
printf '%s' "$PRIVATE_KEY" >"$dir/server.key"
printf '%s\nauth_file = %s\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\n' \
    "$2" "$dir/users" "$dir/server.crt" "$dir/server.key" >"$dir/settings"
"$1" -q "$dir/settings" &
pid=$!
cat >/dev/null

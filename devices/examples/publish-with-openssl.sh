#!/usr/bin/env bash
# A real meter with nothing but openssl and mosquitto_pub: signs one reading and publishes it.
#
# Once, to make the meter's key and to see what the issuing body needs to register it:
#
#   openssl genpkey -algorithm ed25519 -out meter.pem && chmod 600 meter.pem
#   ./publish-with-openssl.sh --key meter.pem --show-key
#
# Then, after every reading of the registers (from cron, a PLC, a data logger):
#
#   ./publish-with-openssl.sh --key meter.pem --plant my-plant --meter MY-METER \
#     --log log.example/hourseal/2026 --audience broker.example --host broker.example \
#     --register exportWh=1234567 --register importWh=890
#
# Every option can also come from the environment: HOURSEAL_KEY, HOURSEAL_PLANT, HOURSEAL_METER,
# HOURSEAL_LOG, HOURSEAL_AUDIENCE, HOURSEAL_HOST, HOURSEAL_PORT, HOURSEAL_STATE. What follows `--` goes
# to mosquitto_pub as it is, such as `-- --cafile ca.pem`.
#
# What is kept in the state folder (default: ./hourseal-state):
#
#   seq           the number of the last message under this key. Never restore it from a backup, never
#                 use it with two copies of the key: one number with two contents is a fork, and the
#                 key is frozen. With a new key begin with a new folder.
#   last-t        the time of the last reading: later ones only.
#   waiting/      messages that are signed and not yet acknowledged; the next run sends them first.
#   sent/         messages that the broker has acknowledged. The acknowledgement comes after they are
#                 stored, but the proof is the receipt (topic .../receipts), which this script does not
#                 check: clear this folder by hand, after 45 days, or use the gateway client instead.
#
# Needs: bash 4, OpenSSL 3.0 or later, coreutils, flock (util-linux), and mosquitto_pub to publish.

set -euo pipefail
export LC_ALL=C
umask 077

fail() {
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  exit 2
}

key=${HOURSEAL_KEY:-}
plant=${HOURSEAL_PLANT:-}
meter=${HOURSEAL_METER:-}
log=${HOURSEAL_LOG:-}
audience=${HOURSEAL_AUDIENCE:-}
host=${HOURSEAL_HOST:-}
port=${HOURSEAL_PORT:-1883}
state=${HOURSEAL_STATE:-hourseal-state}
reading_time=
registers=()
mode=publish
extra=()

while [ $# -gt 0 ]; do
  case $1 in
    --print) mode=print ;;
    --show-key) mode=show-key ;;
    --help)
      sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    --)
      shift
      extra=("$@")
      break
      ;;
    --key | --plant | --meter | --log | --audience | --host | --port | --state | --time | --register)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --key) key=$2 ;;
        --plant) plant=$2 ;;
        --meter) meter=$2 ;;
        --log) log=$2 ;;
        --audience) audience=$2 ;;
        --host) host=$2 ;;
        --port) port=$2 ;;
        --state) state=$2 ;;
        --time) reading_time=$2 ;;
        --register) registers+=("$2") ;;
      esac
      shift
      ;;
    *) fail "unknown option $1 (try --help)" ;;
  esac
  shift
done

# Base64 as RFC 7515 wants it: the URL alphabet, no padding, one line.
base64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }

# Whole numbers as JSON writes them, at most 2^53 - 1: no sign, no leading zero.
is_whole() { [[ $1 =~ ^(0|[1-9][0-9]{0,15})$ ]] && [ "$1" -le 9007199254740991 ]; }

[ -n "$key" ] || fail '--key is missing: a private Ed25519 key in PEM'
[ -r "$key" ] || fail "cannot read $key"
openssl pkey -in "$key" -noout -text 2>/dev/null | grep -q '^ED25519' ||
  fail "$key is not an Ed25519 key"

# The public key as JWK (RFC 8037), and its thumbprint (RFC 7638), by which the log knows it. The raw
# key is the last 32 bytes of its DER form.
x=$(openssl pkey -in "$key" -pubout -outform DER | tail -c 32 | base64url)
jwk=$(printf '{"crv":"Ed25519","kty":"OKP","x":"%s"}' "$x")
kid=$(printf '%s' "$jwk" | openssl dgst -sha256 -binary | base64url)

if [ "$mode" = show-key ]; then
  printf 'jwk %s\nkid %s\n' "$jwk" "$kid"
  exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Signs: `sign_jws TYP PAYLOAD` prints a JWS in compact form. Header and payload must be in JCS form (RFC
# 8785): members sorted by name, no white space. printf does that when it is written down sorted.
sign_jws() {
  local head body
  head=$(printf '{"alg":"Ed25519","kid":"%s","typ":"%s"}' "$kid" "$1" | base64url)
  body=$(printf '%s' "$2" | base64url)
  # OpenSSL 3.0 signs with Ed25519 from a file only, because it must see all of it at once.
  printf '%s.%s' "$head" "$body" >"$scratch/input"
  openssl pkeyutl -sign -rawin -inkey "$key" -in "$scratch/input" -out "$scratch/signature"
  printf '%s.%s.%s' "$head" "$body" "$(base64url <"$scratch/signature")"
}

id='^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
[[ $plant =~ $id ]] || fail '--plant is missing or not an id'
[[ $meter =~ $id ]] || fail '--meter is missing or not an id'
[[ $log =~ ^[]!#-*,-[^-~]+$ ]] || fail '--log is missing or not the origin of a log'
[ ${#registers[@]} -gt 0 ] || fail '--register NAME=VALUE is missing'
[ ${#registers[@]} -le 16 ] || fail 'a reading holds at most 16 registers'
for register in "${registers[@]}"; do
  [[ ${register%%=*} =~ $id && $register == *=* ]] || fail "not NAME=VALUE: $register"
  is_whole "${register#*=}" || fail "not a whole number: $register"
done
if [ "$mode" = publish ]; then
  [ -n "$host" ] || fail '--host is missing'
  [[ $audience =~ ^[]!#-[^-~]+$ ]] || fail '--audience is missing: the name of the broker'
  command -v mosquitto_pub >/dev/null || fail 'mosquitto_pub is not installed (mosquitto-clients)'
fi

# One run at a time: two would give one number to two messages.
mkdir -p "$state/waiting" "$state/sent"
exec 9>"$state/lock"
flock -n 9 || fail "another run is using $state"

t=${reading_time:-$(date -u +%s)}
is_whole "$t" || fail "not a time in Unix seconds: $t"
last_t=$(cat "$state/last-t" 2>/dev/null || echo 0)
[ "$t" -gt "$last_t" ] || fail "the last reading was at $last_t; this one, at $t, is not later"
seq=$(($(cat "$state/seq" 2>/dev/null || echo 0) + 1))

# The registers as a JSON object, sorted by name; one name twice is an error.
names=$(printf '%s\n' "${registers[@]%%=*}" | sort | uniq -d)
[ -z "$names" ] || fail "twice: $names"
values=$(printf '%s\n' "${registers[@]}" | sort -t= -k1,1 | sed 's/^\(.*\)=\(.*\)$/"\1":\2/' | paste -sd,)

payload=$(printf \
  '{"log":"%s","meter":"%s","plant":"%s","readings":[{"registers":{%s},"t":%s}],"seq":%s,"v":1}' \
  "$log" "$meter" "$plant" "$values" "$t" "$seq")
message=$(sign_jws hourseal-message "$payload")

# Writes a file so that after a power cut it is the old one or the new one.
keep() {
  printf '%s' "$2" >"$1.new"
  sync "$1.new"
  mv "$1.new" "$1"
  sync "$(dirname "$1")"
}

# The message first, then its number: a crash between the two leaves a signed message behind, which is
# sent or, if its number is used again, replaced; nobody has seen it.
name=$(printf '%016d.jws' "$seq")
keep "$state/waiting/$name" "$message"
keep "$state/seq" "$seq"
keep "$state/last-t" "$t"

if [ "$mode" = print ]; then
  printf '%s\n' "$message"
  exit 0
fi

# The password: a JWS for this broker by the same key, good for five minutes. No second secret.
claims=$(printf '{"aud":"%s","iat":%s,"sub":"%s"}' "$audience" "$(date -u +%s)" "$meter")
password=$(sign_jws hourseal-connect "$claims")

# In the order of their numbers, each acknowledged (QoS 1) before the next; what fails stays waiting.
for file in "$state"/waiting/*.jws; do
  mosquitto_pub -h "$host" -p "$port" -i "$meter" -u "$meter" -P "$password" -q 1 \
    -t "hourseal/v1/$plant/$meter/messages" -f "$file" "${extra[@]+"${extra[@]}"}"
  mv "$file" "$state/sent/"
done

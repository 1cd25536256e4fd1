#!/bin/bash
# Is the SuperChat server on this machine healthy? One line says so; exit code 0 is yes, 1 is no.
#
#   healthcheck.sh [PORT [METRICS_PORT]]      (6465 and 9090)

set -e

PORT=${1:-6465}
METRICS_PORT=${2:-9090}
TIMEOUT=5  # seconds; a server that hangs is not healthy

if ! nc -z -w "$TIMEOUT" localhost "$PORT"; then
  echo "ERROR: Server not listening on port $PORT"
  exit 1
fi

# Without -f: a server that is not healthy answers 503, and its answer has the reasons.
RESPONSE=$(curl -s -m "$TIMEOUT" "http://localhost:$METRICS_PORT/health" || echo "")
if [ -z "$RESPONSE" ]; then
  echo "ERROR: Health endpoint not responding"
  exit 1
fi

STATUS=$(echo "$RESPONSE" | jq -r '.status')
DB_STATUS=$(echo "$RESPONSE" | jq -r '.database')
REASONS=$(echo "$RESPONSE" | jq -r '.reasons // [] | join("; ")')

if [ "$DB_STATUS" != "ok" ]; then
  echo "ERROR: Database status: $DB_STATUS"
  exit 1
fi

if [ "$STATUS" != "ok" ]; then
  echo "ERROR: Server status: $STATUS ($REASONS)"
  exit 1
fi

echo "OK: SuperChat server is healthy"
exit 0

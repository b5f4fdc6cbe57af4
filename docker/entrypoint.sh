#!/bin/sh
# Verifies the exported files in /models, then becomes tritonserver; options of it may follow.
set -eu
python3 -m launcher.repository.verification /models ${MANIFEST_SHA256:+--manifest-sha256 "$MANIFEST_SHA256"}

# What changes or reveals more than verdicts asks for a key that is drawn anew at each start.
key=$(python3 -c 'import secrets; print(secrets.token_urlsafe(24))')
restricted="shared-memory,model-repository,logging,trace:tribunal-admin-key=$key"

export TOKENIZERS_PARALLELISM=false
exec tritonserver \
    --model-repository=/models \
    --model-control-mode=explicit --load-model='*' \
    --strict-readiness=true \
    --metrics-config=summary_latencies=true \
    --http-restricted-api="$restricted" \
    --grpc-restricted-protocol="$restricted" \
    "$@"

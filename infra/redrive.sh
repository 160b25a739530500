#!/bin/sh
# Brings the records of dead letters to their functions once more, on AWS; `cargo local redrive` does so locally.
# usage: infra/redrive.sh QUEUE...      names of queues, as the alarm shows them; README.md beside this has the rights it needs
#
# A letter is deleted once each of its records was handled, and stays otherwise. Twice does no harm: the functions know what
# they have seen, and pass over what their filters would have kept from them.
set -eu
# The AWS CLI writes times in the local zone.
export TZ=UTC AWS_PAGER=

[ $# -gt 0 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
remaining=0

# Writes the records that the letter names to $work/records, one a line, as a function gets them; fails when they are gone.
fetch() {
    arn=$(jq -r .DDBStreamBatchInfo.streamArn "$work/letter")
    last=$(jq -r .DDBStreamBatchInfo.endSequenceNumber "$work/letter")
    : >"$work/records"
    iterator=$(aws dynamodbstreams get-shard-iterator --stream-arn "$arn" \
        --shard-id "$(jq -r .DDBStreamBatchInfo.shardId "$work/letter")" \
        --shard-iterator-type AT_SEQUENCE_NUMBER \
        --sequence-number "$(jq -r .DDBStreamBatchInfo.startSequenceNumber "$work/letter")" \
        --query ShardIterator --output text) || return 1
    empty=0
    while [ "$iterator" != null ] && [ $empty -lt 5 ]; do
        aws dynamodbstreams get-records --shard-iterator "$iterator" --output json >"$work/page" || return 1
        # Sequence numbers have more digits than numbers in jq.
        jq -c --arg arn "$arn" --arg last "$last" '
            def place: sub("^0+"; "") | [length, .];
            def seconds: if type == "string" then sub("\\.[0-9]+"; "") | sub("[+]00:00$"; "Z") | fromdate else . end;
            .Records[] | select((.dynamodb.SequenceNumber | place) <= ($last | place))
            | .eventSourceARN = $arn | .dynamodb.ApproximateCreationDateTime |= seconds' "$work/page" >>"$work/records"
        if jq -e --arg last "$last" 'def place: sub("^0+"; "") | [length, .];
            any(.Records[]; (.dynamodb.SequenceNumber | place) >= ($last | place))' "$work/page" >/dev/null; then
            break
        fi
        if [ "$(jq '.Records | length' "$work/page")" = 0 ]; then empty=$((empty + 1)); else empty=0; fi
        iterator=$(jq -r .NextShardIterator "$work/page")
    done
    [ -s "$work/records" ]
}

# Invokes the function with each record by itself, so that one that fails does not hold up the others.
replay() {
    function=$(jq -r '.requestContext.functionArn | sub(".*:function:"; "")' "$work/letter")
    failed=0 count=0
    while IFS= read -r record; do
        count=$((count + 1))
        printf '{"Records":[%s]}' "$record" >"$work/event"
        rm -f "$work/answer"
        if aws lambda invoke --function-name "$function" --payload "fileb://$work/event" --cli-read-timeout 900 \
            --output json "$work/answer" >"$work/outcome" &&
            jq -e 'has("FunctionError") | not' "$work/outcome" >/dev/null &&
            jq -e '(.batchItemFailures? // []) == []' "$work/answer" >/dev/null; then
            continue
        fi
        failed=$((failed + 1))
        echo "  record $(printf %s "$record" | jq -r .dynamodb.SequenceNumber): $(head -c 500 "$work/answer" 2>/dev/null)"
    done <"$work/records"
    [ $failed = 0 ]
}

for queue in "$@"; do
    url=$(aws sqs get-queue-url --queue-name "$queue" --query QueueUrl --output text)
    : >"$work/kept"
    letters=0
    # Those that stay are hidden from us until all were received.
    while aws sqs receive-message --queue-url "$url" --visibility-timeout 3600 --wait-time-seconds 1 --output json >"$work/message" &&
        [ "$(jq '.Messages? // [] | length' "$work/message")" = 1 ]; do
        letters=$((letters + 1))
        receipt=$(jq -r '.Messages[0].ReceiptHandle' "$work/message")
        name="$queue $(jq -r '.Messages[0].MessageId' "$work/message")"
        jq -r '.Messages[0].Body | fromjson? // {}' "$work/message" >"$work/letter"
        if ! jq -e '.DDBStreamBatchInfo and .requestContext.functionArn' "$work/letter" >/dev/null; then
            echo "$name: no dead letter of a function's stream, kept"
        elif ! fetch; then
            echo "$name: its records cannot be read, for the reason above or because the stream had them for a day only, kept"
        elif ! replay; then
            echo "$name: $failed of $count failed at $function again, kept"
        else
            aws sqs delete-message --queue-url "$url" --receipt-handle "$receipt"
            echo "$name: $count delivered to $function, deleted"
            continue
        fi
        remaining=1
        echo "$receipt" >>"$work/kept"
    done
    while IFS= read -r receipt; do
        aws sqs change-message-visibility --queue-url "$url" --receipt-handle "$receipt" --visibility-timeout 0
    done <"$work/kept"
    [ $letters -gt 0 ] || echo "$queue: no dead letters"
done
exit $remaining

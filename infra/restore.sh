#!/usr/bin/env bash
# Brings items that a table lost back from a copy of it, which was restored from a point in time.
# usage: infra/restore.sh COPY TABLE PREFIX     names of tables; PREFIX of the sort keys to bring back, such as ORDER#
#
# Only what TABLE has not is written, on that condition: whatever is there is newer, and stays. What expired is left out.
# Repeating it does no harm. PREFIX is there because much is deleted on purpose: a session that has ended must not come back.
set -euo pipefail
export AWS_PAGER=

[ $# = 3 ] && [ -n "$3" ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
copy=$1 table=$2 prefix=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

aws dynamodb scan --table-name "$copy" --filter-expression 'begins_with(sk, :prefix)' \
    --expression-attribute-values "$(jq -nc --arg prefix "$prefix" '{":prefix": {S: $prefix}}')" --output json >"$work/all"
jq -c '.Items[] | select((.expires_at.N? // "9e15" | tonumber) > now)' "$work/all" >"$work/items"
written=0 there=0
while IFS= read -r item; do
    printf %s "$item" >"$work/item"
    if aws dynamodb put-item --table-name "$table" --item "file://$work/item" \
        --condition-expression 'attribute_not_exists(pk)' </dev/null 2>"$work/error"; then
        written=$((written + 1))
    elif grep -q ConditionalCheckFailedException "$work/error"; then
        there=$((there + 1))
    else
        cat "$work/error" >&2
        exit 1
    fi
done <"$work/items"
echo "$written brought back, $there were there"

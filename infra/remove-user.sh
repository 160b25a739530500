#!/usr/bin/env bash
# Removes a user's data from a deployed stack; README.md beside this says what is kept, and why.
# usage: TOKEN=<an admin's access token> infra/remove-user.sh STACK USERNAME [USER_ID]
#
# Each step may be repeated, and so may the whole: the account, which leads from the name to the rest, goes last but for
# what is left of sessions. With USER_ID it goes on where the account is gone already.
set -euo pipefail
export AWS_PAGER=

[ $# -ge 2 ] && [ -n "${TOKEN:-}" ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
stack=$1 username=$(printf %s "$2" | tr '[:upper:]' '[:lower:]') user_id=${3:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

physical() {
    aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id "$1" \
        --query StackResourceDetail.PhysicalResourceId --output text
}

key() { jq -nc --arg pk "$1" --arg sk "$2" '{pk: {S: $pk}, sk: {S: $sk}}'; }

# The sort keys of a partition's items, one a line; the CLI reads all pages.
sort_keys() {
    aws dynamodb query --table-name "$1" --consistent-read --key-condition-expression 'pk = :pk' \
        --expression-attribute-values "$(jq -nc --arg pk "$2" '{":pk": {S: $pk}}')" \
        --projection-expression sk --output json >"$work/keys"
    jq -r '.Items[].sk.S' "$work/keys"
}

# Deletes a partition's items, but those whose sort key is the last argument.
empty() {
    sort_keys "$1" "$2" >"$work/sort_keys"
    while IFS= read -r sk; do
        [ "$sk" = "${3:-}" ] || aws dynamodb delete-item --table-name "$1" --key "$(key "$2" "$sk")" </dev/null
    done <"$work/sort_keys"
}

auth=$(physical AuthTable) user=$(physical UserTable) cart=$(physical CartTable)
order=$(physical OrderTable) payment=$(physical PaymentTable) notification=$(physical NotificationTable)
account=$(aws dynamodb get-item --table-name "$auth" --consistent-read --key "$(key "ACCOUNT#$username" ACCOUNT)" \
    --query Item.user_id.S --output text)
if [ "$account" != None ] && [ -n "$account" ]; then
    [ -z "$user_id" ] || [ "$user_id" = "$account" ] || { echo "$username is another user: $account" >&2; exit 1; }
    user_id=$account
fi
[ -n "$user_id" ] || { echo "there is no account $username; where it is gone already, give the user's id" >&2; exit 1; }
echo "removing $username, $user_id"

# Money first: whoever is gone can neither pay nor be asked.
sort_keys "$order" "USER#$user_id" >"$work/orders"
if grep -E '^(OPEN|REFUND)#' "$work/orders" >&2; then
    echo "these orders await a payment or a refund: cancel the one, wait for the other, and come again" >&2
    exit 1
fi

# Nobody logs in from here on, and no token is good any more, but for those of a login that is under way.
if [ "$account" = "$user_id" ]; then
    printf '{"command":"end_sessions","username":"%s"}' "$username" >"$work/command"
    aws lambda invoke --function-name "$(physical AuthOperatorFunction)" --payload "fileb://$work/command" \
        --output json "$work/answer" >"$work/outcome"
    jq -e 'has("FunctionError") | not' "$work/outcome" >"$work/ok" || { cat "$work/answer" >&2; exit 1; }
fi

# The claim of a verified address goes only where it is this user's.
aws dynamodb get-item --table-name "$user" --consistent-read --key "$(key "USER#$user_id" PROFILE)" --output json >"$work/profile"
jq -r '.Item? // {} | .email.S // empty, .former_email.S // empty | ascii_downcase' "$work/profile" >"$work/addresses"
while IFS= read -r address; do
    claimed=$(aws dynamodb get-item --table-name "$user" --key "$(key "EMAIL#$address" EMAIL)" --consistent-read \
        --query Item.user_id.S --output text </dev/null)
    [ "$claimed" != "$user_id" ] || aws dynamodb delete-item --table-name "$user" --key "$(key "EMAIL#$address" EMAIL)" \
        --condition-expression 'user_id = :user' \
        --expression-attribute-values "{\":user\": {\"S\": \"$user_id\"}}" </dev/null
done <"$work/addresses"

empty "$cart" "CART#$user_id"
empty "$notification" "USER#$user_id"
aws dynamodb delete-item --table-name "$payment" --key "$(key "USER#$user_id" DEFAULT_METHOD)"

api=$(aws cloudformation describe-stacks --stack-name "$stack" --output text \
    --query "Stacks[0].Outputs[?OutputKey=='ApiUrl'].OutputValue")
complete=false
while [ "$complete" != true ]; do
    curl -sS --fail-with-body -X DELETE -H "Authorization: Bearer $TOKEN" "${API:-$api}/analytics/users/$user_id" >"$work/removed" ||
        { cat "$work/removed" >&2; exit 1; }
    complete=$(jq -r .complete "$work/removed")
done

# The profile after what its address led to, the account after everything that its name led to.
empty "$user" "USER#$user_id"
[ "$account" != "$user_id" ] || aws dynamodb delete-item --table-name "$auth" --key "$(key "ACCOUNT#$username" ACCOUNT)" \
    --condition-expression 'user_id = :user' --expression-attribute-values "{\":user\": {\"S\": \"$user_id\"}}"
# Without the account they open nothing.
empty "$auth" "USER#$user_id"
echo "removed; again in a quarter of an hour, with the id, for what a request under way wrote:"
echo "  infra/remove-user.sh $stack $username $user_id"

module yardstick

go 1.21

require github.com/golang-jwt/jwt/v4 v4.4.3

// Where Debian's package golang-github-golang-jwt-jwt-dev puts it: no module proxy is needed.
replace github.com/golang-jwt/jwt/v4 => /usr/share/gocode/src/github.com/golang-jwt/jwt

// The same protected handler as its users would write it in Go, with golang-jwt. The loop is aws-lambda-go's in short (an HTTP client
// of the standard library, encoding/json), which Debian 12 has no package of.
package main

import (
	"bytes"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v4"
)

type claims struct {
	jwt.RegisteredClaims
	Username string `json:"username"`
}

type request struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	PathParameters        map[string]string `json:"pathParameters,omitempty"`
	RequestContext        struct {
		AccountID    string `json:"accountId"`
		APIID        string `json:"apiId"`
		DomainName   string `json:"domainName"`
		DomainPrefix string `json:"domainPrefix"`
		RequestID    string `json:"requestId"`
		Stage        string `json:"stage"`
		Time         string `json:"time"`
		TimeEpoch    int64  `json:"timeEpoch"`
		HTTP         struct {
			Method    string `json:"method"`
			Path      string `json:"path"`
			Protocol  string `json:"protocol"`
			SourceIP  string `json:"sourceIp"`
			UserAgent string `json:"userAgent"`
		} `json:"http"`
	} `json:"requestContext"`
	Body            string `json:"body,omitempty"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body,omitempty"`
}

var (
	key    *rsa.PublicKey
	issuer = os.Getenv("ISSUER")
	parser = jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}))
)

func authenticate(event *request) (*claims, error) {
	token, found := strings.CutPrefix(event.Headers["authorization"], "Bearer ")
	if !found {
		return nil, errors.New("no token")
	}
	var verified claims
	_, err := parser.ParseWithClaims(token, &verified, func(*jwt.Token) (interface{}, error) { return key, nil })
	if err != nil {
		return nil, err
	}
	if !verified.VerifyIssuer(issuer, true) || !verified.VerifyAudience(issuer, true) {
		return nil, errors.New("not ours")
	}
	return &verified, nil
}

func answer(status int, body interface{}) response {
	text, _ := json.Marshal(body)
	return response{status, map[string]string{"content-type": "application/json"}, string(text)}
}

func handle(event *request) response {
	verified, err := authenticate(event)
	if err != nil {
		return answer(401, map[string]string{"title": "A valid access token is required"})
	}
	return answer(200, map[string]string{"user_id": verified.Subject, "username": verified.Username})
}

func main() {
	var err error
	if key, err = jwt.ParseRSAPublicKeyFromPEM([]byte(os.Getenv("PUBLIC_KEY"))); err != nil {
		log.Fatal(err)
	}
	runtime := fmt.Sprintf("http://%s/2018-06-01/runtime/invocation/", os.Getenv("AWS_LAMBDA_RUNTIME_API"))
	client := &http.Client{}
	for {
		if err := next(client, runtime); err != nil {
			log.Fatal(err)
		}
	}
}

func next(client *http.Client, runtime string) error {
	got, err := client.Get(runtime + "next")
	if err != nil {
		return err
	}
	body, err := io.ReadAll(got.Body)
	got.Body.Close()
	if err != nil {
		return err
	}
	var event request
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	text, err := json.Marshal(handle(&event))
	if err != nil {
		return err
	}
	url := runtime + got.Header.Get("Lambda-Runtime-Aws-Request-Id") + "/response"
	sent, err := client.Post(url, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, sent.Body)
	sent.Body.Close()
	return err
}

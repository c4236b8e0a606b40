package sigstore

import (
	"context"
	"errors"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"bale/bundle/fault"
)

const deviceHint = "get a token from the issuer in another way, and give it with --identity-token"

// Device returns the source of a token that a person agrees to in a browser, on
// whatever machine (RFC 8628). Show tells them where to go, and which code to
// type there.
func Device(issuer, clientID string, show func(address, code string)) (TokenSource, error) {
	if err := checkURL("OIDC issuer", issuer, true); err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) { return device(ctx, issuer, clientID, show) }, nil
}

func device(ctx context.Context, issuer, clientID string, tell func(address, code string)) (string, error) {
	// What is refused until the person is ready is the library's to deal with.
	c := &client{
		ctx: ctx, server: "OIDC issuer " + show(issuer),
		accept: []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusPreconditionRequired},
	}
	web := oidc.ClientContext(ctx, c.http())
	provider, err := oidc.NewProvider(web, issuer)
	if err != nil {
		return "", c.said(err, deviceHint)
	}
	endpoint := provider.Endpoint()
	if endpoint.DeviceAuthURL == "" {
		return "", c.said(errors.New("it has no device flow"), deviceHint)
	}
	for _, u := range []string{endpoint.DeviceAuthURL, endpoint.TokenURL} {
		if err := checkURL("OIDC issuer", u, true); err != nil {
			return "", err
		}
	}
	conf := &oauth2.Config{ClientID: clientID, Endpoint: endpoint, Scopes: []string{oidc.ScopeOpenID, "email"}}
	verifier := oauth2.GenerateVerifier()
	started, err := conf.DeviceAuth(web, oauth2.S256ChallengeOption(verifier))
	if err != nil {
		return "", c.refusedBy(err)
	}
	address := started.VerificationURIComplete
	if address == "" {
		address = started.VerificationURI
	}
	tell(clean(address, ""), clean(started.UserCode, ""))
	token, err := conf.DeviceAccessToken(web, started, oauth2.VerifierOption(verifier))
	if err != nil {
		return "", c.refusedBy(err)
	}
	id, _ := token.Extra("id_token").(string)
	if !isToken(id) {
		return "", c.said(errors.New("its answer holds no identity token"), deviceHint)
	}
	c.secret = id
	if _, err := provider.Verifier(&oidc.Config{ClientID: clientID}).Verify(web, id); err != nil {
		return "", c.said(err, deviceHint)
	}
	return id, nil
}

// refusedBy keeps of a refusal its code alone: the rest may quote anything.
func (c *client) refusedBy(err error) error {
	var re *oauth2.RetrieveError
	if c.ctx.Err() == nil && errors.As(err, &re) && re.ErrorCode != "" {
		return fault.WithHint(c.said(errors.New("it refuses a token: "+re.ErrorCode), ""), "%s", deviceHint)
	}
	return c.said(err, deviceHint)
}

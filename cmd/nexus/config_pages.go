package main

import (
	"encoding/base64"
	"net/mail"
	"net/url"
	"strings"

	"nexus"
	"nexus/transport/page"
)

// checkPages turns the variables of what leaves the campus into channels. Values hold passwords and secret paths, so that none is repeated.
func (c *Config) checkPages() error {
	if c.PageFrom != "" {
		if a, err := mail.ParseAddress(c.PageFrom); err != nil || a.Address != c.PageFrom {
			return wrong("NEXUS_PAGE_FROM", "takes an e-mail address, such as security@campus.example")
		}
	}
	if c.PageSecret != "" && len(c.PageSecret) < minSecret {
		return wrong("NEXUS_PAGE_SECRET", "takes a secret of %d bytes at least; make one with: openssl rand -hex 32", minSecret)
	}
	for _, step := range []func() error{c.checkMail, c.checkHooks, c.checkPush} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkMail() error {
	if c.PageSMTP == "" {
		return nil
	}
	u, err := url.Parse(c.PageSMTP)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtp+plain" || u.Hostname() == "" || u.Port() == "" {
		return wrong("NEXUS_PAGE_SMTP", "takes smtp://user:password@host:port or smtp+plain://host:port, special characters of the password as %%XX")
	}
	if c.PageFrom == "" {
		return wrong("NEXUS_PAGE_FROM", "is needed with NEXUS_PAGE_SMTP")
	}
	password, _ := u.User.Password()
	c.pages = append(c.pages, page.Email{Addr: u.Host, User: u.User.Username(), Password: password, From: c.PageFrom, Insecure: u.Scheme == "smtp+plain"})
	return nil
}

func (c *Config) checkHooks() error {
	for _, hook := range []struct {
		name, url string
		channel   nexus.PagedChannel
	}{{"NEXUS_PAGE_WEBHOOK", c.PageWebhook, nexus.ChannelWebhook}, {"NEXUS_PAGE_SMS", c.PageSMS, nexus.ChannelSMS}} {
		if hook.url == "" {
			continue
		}
		u, err := url.Parse(hook.url)
		if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || c.Env == production) {
			return wrong(hook.name, "takes a URL with https")
		}
		if c.PageSecret == "" {
			return wrong("NEXUS_PAGE_SECRET", "is needed with %s; make one with: openssl rand -hex 32", hook.name)
		}
		c.pages = append(c.pages, page.Webhook{Channel: hook.channel, URL: hook.url, Secret: []byte(c.PageSecret)})
	}
	return nil
}

func (c *Config) checkPush() error {
	if c.PushKey == "" {
		return nil
	}
	public, private, _ := strings.Cut(c.PushKey, ":")
	for _, part := range []struct {
		text string
		size int
	}{{public, 65}, {private, 32}} { // a point and a scalar of P-256
		if raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part.text, "=")); err != nil || len(raw) != part.size {
			return wrong("NEXUS_PUSH_KEY", "takes a VAPID key pair as public:private in base64url")
		}
	}
	if c.PageFrom == "" {
		return wrong("NEXUS_PAGE_FROM", "is needed with NEXUS_PUSH_KEY: push services want a contact")
	}
	c.pages = append(c.pages, page.Push{Subscriber: c.PageFrom, PublicKey: public, PrivateKey: private})
	return nil
}

// channels names the ways out of the campus that are set up.
func (c *Config) channels() []nexus.PagedChannel {
	names := make([]nexus.PagedChannel, len(c.pages))
	for i, p := range c.pages {
		names[i] = p.Name()
	}
	return names
}

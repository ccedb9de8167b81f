package main

import (
	"crypto/tls"
	"net"
	"net/url"
	"strconv"
	"strings"

	"nexus/actors/ai"
	"nexus/actors/ai/budget"
)

// aiModel is a model as it may be used.
type aiModel struct {
	limits budget.Limits
	price  ai.Price
}

// checkAI reads what models there are. Without a key there are none.
func (c *Config) checkAI() error {
	if c.GeminiURL != "" {
		u, err := url.Parse(c.GeminiURL)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || c.Env == production) {
			return wrong("NEXUS_GEMINI_BASE_URL", "takes a URL with https")
		}
	}
	if strings.ContainsAny(c.GeminiKey, " \t\r\n") {
		return wrong("NEXUS_GEMINI_API_KEY", "takes a key, without spaces")
	}
	c.models = map[string]aiModel{}
	for _, m := range []struct{ variable, name, limits, price string }{
		{"NEXUS_GEMINI_FLASH", c.GeminiFlash, c.GeminiFlashLimits, c.GeminiFlashPrice}, {"NEXUS_GEMINI_PRO", c.GeminiPro, c.GeminiProLimits, c.GeminiProPrice},
	} {
		if m.name == "" || len(m.name) > 100 || strings.ContainsAny(m.name, "/?#% ") {
			return wrong(m.variable, "takes a model's name, such as gemini-2.5-flash")
		}
		requests, tokens, err := pair(m.limits)
		if err != nil || requests != float64(int(requests)) || tokens != float64(int(tokens)) {
			return wrong(m.variable+"_LIMITS", "takes requests:tokens a minute, such as 10:250000; 0 is no limit")
		}
		in, out, err := pair(m.price)
		if err != nil {
			return wrong(m.variable+"_PRICE", "takes what a million tokens cost, in:out, such as 0.30:2.50")
		}
		c.models[m.name] = aiModel{budget.Limits{Requests: int(requests), Tokens: int(tokens)}, ai.Price{In: in, Out: out}}
	}
	if c.GeminiKey == "" {
		c.models = nil
	}
	return nil
}

// minHookKey is how many bytes a webhook's key has at least: Mailgun's has 32.
const minHookKey = 16

// checkInbound looks at how mails come in, and loads the certificate that mail servers are shown.
func (c *Config) checkInbound() error {
	if c.MailHookKey != "" && len(c.MailHookKey) < minHookKey {
		return wrong("NEXUS_MAIL_HOOK_KEY", "takes a key of %d bytes at least", minHookKey)
	}
	if (c.SMTPCert == "") != (c.SMTPKey == "") {
		return wrong("NEXUS_SMTP_TLS_KEY", "and NEXUS_SMTP_TLS_CERT are needed both, or neither")
	}
	if c.SMTPDomain == "" || strings.Trim(strings.ToLower(c.SMTPDomain), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return wrong("NEXUS_SMTP_DOMAIN", "takes a host's name, such as mail.campus.example")
	}
	if c.SMTPAddr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.SMTPAddr); err != nil {
		return wrong("NEXUS_SMTP_ADDR", "takes host:port, such as :25")
	}
	if c.SMTPCert == "" {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.SMTPCert, c.SMTPKey)
	if err != nil {
		return wrong("NEXUS_SMTP_TLS_CERT", "and its key cannot be used: %v", err)
	}
	c.smtpTLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	return nil
}

// pair reads two numbers that are not below 0, parted by a colon.
func pair(text string) (a, b float64, err error) {
	first, second, _ := strings.Cut(text, ":")
	if a, err = strconv.ParseFloat(first, 64); err != nil {
		return 0, 0, err
	}
	b, err = strconv.ParseFloat(second, 64)
	if err == nil && !(a >= 0 && b >= 0 && a < 1e12 && b < 1e12) {
		err = strconv.ErrRange
	}
	return a, b, err
}

package page

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/wneessen/go-mail"

	"nexus"
)

// Email sends pages to an SMTP server of the campus.
type Email struct {
	Addr     string // host:port
	User     string // "" for a server that asks for none
	Password string
	From     string
	Insecure bool // take what the server offers, also no TLS: for a server on this machine
}

var _ Channel = Email{}

// Name implements Channel.
func (Email) Name() nexus.PagedChannel { return nexus.ChannelEmail }

// Send implements Channel.
func (e Email) Send(ctx context.Context, p nexus.OutPage) error {
	m := mail.NewMsg()
	if err := m.From(e.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if err := m.To(p.Address); err != nil {
		return fmt.Errorf("%w: not an e-mail address", ErrRefused)
	}
	text := textOf(p)
	m.Subject(text.headline)
	m.SetImportance(mail.ImportanceUrgent)
	m.SetBodyString(mail.TypeTextPlain, text.headline+"\n\n"+text.body+"\n")
	host, port, err := net.SplitHostPort(e.Addr)
	if err != nil {
		return fmt.Errorf("address of the SMTP server: %w", err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return fmt.Errorf("port of the SMTP server: %w", err)
	}
	options := []mail.Option{mail.WithPort(n), mail.WithTimeout(sendTimeout), mail.WithTLSConfig(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})}
	policy := mail.TLSMandatory
	if e.Insecure {
		policy = mail.TLSOpportunistic
	}
	options = append(options, mail.WithTLSPolicy(policy))
	if e.User != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(e.User), mail.WithPassword(e.Password))
	}
	client, err := mail.NewClient(host, options...)
	if err != nil {
		return fmt.Errorf("set up SMTP: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, m); err != nil {
		var failed *mail.SendError
		if errors.As(err, &failed) && !failed.IsTemp() && (failed.Reason == mail.ErrSMTPRcptTo) {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		return err
	}
	return nil
}

package rest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/letter"
)

// The media types of the forms that providers of mail post.
const (
	urlencoded = "application/x-www-form-urlencoded"
	multiparts = "multipart/form-data"
)

const (
	// hookBytes bounds such a form: a mail, each of whose bytes may have become three, and what is said about it.
	hookBytes = 3*letter.MaxBytes + 64<<10
	// hookFields and hookField bound what is said about it: so many fields, each of so many bytes.
	hookFields = 100
	hookField  = 64 << 10
	// hooksAtOnce bounds the forms that are read side by side: whose they are is not known before their end.
	hooksAtOnce = 16
	// hookAge is how old a signature may be. A provider signs once and tries for hours; that a form comes twice does no harm, for nobody is given a mail twice.
	hookAge = 24 * time.Hour
)

// IsMailHook reports whether a media type is that of a form, as a provider's webhook posts mails.
func IsMailHook(media string) bool {
	kind, _, err := mime.ParseMediaType(media)
	return err == nil && (kind == urlencoded || kind == multiparts)
}

// takesHook reports whether a body of a type is a form of a provider that we know the key of.
func (a *API) takesHook(media string) bool { return len(a.MailHookKey) > 0 && IsMailHook(media) }

// hook is a mail as a provider posts it, whose signature was checked.
type hook struct {
	to   string
	mail []byte
}

// readHook reads a form and checks its signature.
func (a *API) readHook(in *inboundInput) (hook, error) {
	if in.body == nil || in.length <= 0 {
		return hook{}, nexus.InvalidField("body", "expected a form, and its Content-Length")
	}
	if in.length > hookBytes {
		return hook{}, nexus.Errorf(nexus.TooLarge, "a form with a mail has at most %d bytes", hookBytes)
	}
	select {
	case a.hooks <- struct{}{}:
		defer func() { <-a.hooks }()
	default:
		return hook{}, &nexus.Error{Code: nexus.Unavailable, Message: "other mails are being handed in, try again", RetryAfter: time.Second}
	}
	raw, err := io.ReadAll(io.LimitReader(in.body, int64(in.length))) // room is taken as the form comes, and not as it is announced
	if err != nil {
		return hook{}, nexus.InvalidField("body", "ends too early")
	}
	fields, err := formFields(raw, in.media)
	if err != nil {
		return hook{}, err
	}
	if err := checkHook(fields, a.MailHookKey, time.Now()); err != nil {
		return hook{}, err
	}
	h := hook{to: string(fields["recipient"]), mail: fields["body-mime"]}
	switch {
	case len(h.mail) == 0:
		return hook{}, nexus.InvalidField("body-mime", "expected a mail as it came: a route whose address ends in mime")
	case len(h.mail) > letter.MaxBytes:
		return hook{}, nexus.Errorf(nexus.TooLarge, "a mail has at most %d bytes", letter.MaxBytes)
	}
	return h, nil
}

// formFields are the first values of the fields of a form, files included.
func formFields(raw []byte, media string) (map[string][]byte, error) {
	kind, params, err := mime.ParseMediaType(media)
	if err != nil {
		return nil, nexus.Wrap(nexus.Unsupported, err, "read the type of a form")
	}
	broken := nexus.InvalidField("body", "is no form, or one with too many fields")
	fields := map[string][]byte{}
	put := func(name string, value []byte) error {
		if _, twice := fields[name]; twice || len(fields) >= hookFields || name != "body-mime" && len(value) > hookField {
			return broken
		}
		fields[name] = value
		return nil
	}
	if kind == urlencoded {
		if bytes.Count(raw, []byte("&")) >= hookFields {
			return nil, broken
		}
		values, err := url.ParseQuery(string(raw))
		if err != nil {
			return nil, broken
		}
		for name, list := range values {
			if len(list) != 1 {
				return nil, broken
			}
			if err := put(name, []byte(list[0])); err != nil {
				return nil, err
			}
		}
		return fields, nil
	}
	for form := multipart.NewReader(bytes.NewReader(raw), params["boundary"]); ; {
		part, err := form.NextRawPart()
		if err == io.EOF { //nolint:errorlint // as it is documented
			return fields, nil
		}
		if err != nil {
			return nil, broken
		}
		value, err := io.ReadAll(part) // it is in memory already
		if err != nil {
			return nil, broken
		}
		if err := put(part.FormName(), value); err != nil {
			return nil, err
		}
	}
}

// checkHook checks a form's signature, as Mailgun makes it.
func checkHook(fields map[string][]byte, key []byte, now time.Time) error {
	sum, err := hex.DecodeString(string(fields["signature"]))
	mac := hmac.New(sha256.New, key)
	mac.Write(fields["timestamp"])
	mac.Write(fields["token"])
	if err != nil || len(fields["token"]) == 0 || !hmac.Equal(sum, mac.Sum(nil)) {
		return nexus.Errorf(nexus.Unauthenticated, "the form's signature is not that of this webhook's key")
	}
	at, err := strconv.ParseInt(string(fields["timestamp"]), 10, 64)
	if age := now.Sub(time.Unix(at, 0)); err != nil || age > hookAge || age < -hookAge {
		return nexus.Errorf(nexus.Unauthenticated, "the form's signature is too old")
	}
	return nil
}

// hookSchema is the form in OpenAPI's words.
func hookSchema() *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	for name, most := range map[string]int{"recipient": hookField, "body-mime": letter.MaxBytes, "timestamp": 20, "token": 200, "signature": 64} {
		s.Required = append(s.Required, name)
		s.Properties[name] = &huma.Schema{Type: huma.TypeString, MaxLength: &most}
	}
	slices.Sort(s.Required)
	return s
}

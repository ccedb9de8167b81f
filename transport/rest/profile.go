package rest

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

func (a *API) profileRoutes() {
	tag := []string{"me"}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/profile", Tags: tag,
		Summary: "My profile",
	}, anyUser(), a.profile)
	handle(a, huma.Operation{
		Method: http.MethodPatch, Path: "/profile", Tags: tag,
		Summary: "Change my profile; fields left out stay, empty ones are cleared",
	}, anyUser(), a.changeProfile)
	handle(a, huma.Operation{
		Method: http.MethodPatch, Path: "/profile/update", Tags: tag,
		Summary: "Change my profile, as the original client does",
	}, anyUser(), a.updateProfile)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/profile/contacts", Tags: tag,
		Summary: "Whom to tell in an emergency, the first first",
	}, anyUser(), a.contacts)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/profile/contacts", Tags: tag,
		Summary: "Replace the emergency contacts",
	}, anyUser(), a.setContacts)
	a.photoRoutes(tag)
}

type profileBody = success[originalProfile]

func (a *API) profile(ctx context.Context, _ *struct{}) (*Versioned[profileBody], error) {
	p, err := a.Profiles.Profile(ctx, caller(ctx).User)
	return a.showProfile(ctx, p, "", err)
}

func (a *API) showProfile(ctx context.Context, p nexus.Profile, message string, err error) (*Versioned[profileBody], error) {
	if err != nil {
		return nil, err
	}
	u, err := a.Auth.Account(ctx, p.UserID)
	return versioned(profileBody{Success: true, Message: message, Data: toOriginal(p, u)}, p.Version, err)
}

// About is what people say of themselves.
type About struct {
	Phone   *string `json:"phone,omitempty" maxLength:"32" pattern:"^[0-9+(). -]*$" patternDescription:"a phone number"`
	Address *string `json:"address,omitempty" maxLength:"500" text:"lines"`
	Bio     *string `json:"bio,omitempty" maxLength:"1000" text:"lines"`
	DOB     *string `json:"dob,omitempty" maxLength:"30" doc:"YYYY-MM-DD, or empty; the time behind it that JavaScript writes is not heeded"`
}

type changeProfileInput struct {
	Conditional
	Body struct {
		About
		Locale *string `json:"locale,omitempty" maxLength:"35" pattern:"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$" patternDescription:"a language tag such as en-IN"`
		TZ     *string `json:"tz,omitempty" minLength:"1" maxLength:"64" example:"Asia/Kolkata" doc:"IANA zone"`
	}
}

func (a *API) changeProfile(ctx context.Context, in *changeProfileInput) (*Versioned[profileBody], error) {
	v, err := in.version()
	if err != nil {
		return nil, err
	}
	if tz := in.Body.TZ; tz != nil {
		if _, err := time.LoadLocation(*tz); err != nil || *tz == "Local" {
			return nil, nexus.InvalidField("tz", "expected an IANA zone such as Asia/Kolkata")
		}
	}
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	change.Locale, change.TZ = in.Body.Locale, in.Body.TZ
	p, err := a.Profiles.ChangeProfile(ctx, caller(ctx), caller(ctx).User, v, change)
	return a.showProfile(ctx, p, "", err)
}

type updateProfileInput struct{ Body About }

func (a *API) updateProfile(ctx context.Context, in *updateProfileInput) (*Versioned[profileBody], error) {
	change, err := in.Body.change()
	if err != nil {
		return nil, err
	}
	p, err := a.Profiles.ChangeProfile(ctx, caller(ctx), caller(ctx).User, 0, change)
	return a.showProfile(ctx, p, "Profile updated successfully", err)
}

func (b About) change() (nexus.ProfileChange, error) {
	if b.DOB != nil && *b.DOB != "" {
		date, _, timed := strings.Cut(*b.DOB, "T")
		day, err := time.Parse(time.DateOnly, date)
		if timed && err == nil {
			_, err = time.Parse(time.RFC3339, *b.DOB)
			*b.DOB = date
		}
		if err != nil || day.Year() < 1900 || day.After(time.Now()) {
			return nexus.ProfileChange{}, nexus.InvalidField("dob", "expected a day of the past as YYYY-MM-DD")
		}
	}
	return nexus.ProfileChange{Phone: b.Phone, Address: b.Address, Bio: b.Bio, DOB: b.DOB}, nil
}

type contactsBody struct {
	Items []nexus.Contact `json:"items"`
}

func (a *API) contacts(ctx context.Context, _ *struct{}) (*Answer[contactsBody], error) {
	cs, err := a.Profiles.Contacts(ctx, caller(ctx).User)
	return answer(contactsBody{cs}, err)
}

type contactInput struct {
	Name    string `json:"name" minLength:"1" maxLength:"120"`
	Channel string `json:"channel" enum:"sms,email,user"`
	Address string `json:"address" minLength:"1" maxLength:"254" doc:"A phone number, an e-mail address or a user's id, as the channel says"`
}

type contactsInput struct {
	Body struct {
		Items []contactInput `json:"items" maxItems:"5" nullable:"false"`
	}
}

func (a *API) setContacts(ctx context.Context, in *contactsInput) (*Answer[contactsBody], error) {
	cs := make([]nexus.Contact, 0, len(in.Body.Items))
	for i, c := range in.Body.Items {
		if !reachable(c, caller(ctx).User) {
			return nil, nexus.InvalidField(fmt.Sprintf("items[%d].address", i), "is not an address of channel %s", c.Channel)
		}
		cs = append(cs, nexus.Contact(c))
	}
	if err := a.Profiles.SetContacts(ctx, caller(ctx), caller(ctx).User, cs); err != nil {
		return nil, err
	}
	return answer(contactsBody{cs}, nil)
}

var phone = regexp.MustCompile(`^\+?[0-9][0-9(). -]{5,30}$`)

// reachable reports whether the address fits the channel; nobody is their own contact.
func reachable(c contactInput, self nexus.UserID) bool {
	switch c.Channel {
	case "sms":
		return phone.MatchString(c.Address)
	case "email":
		_, err := nexus.NormalEmail(c.Address)
		return err == nil
	default:
		return nexus.ValidID(c.Address) && nexus.UserID(c.Address) != self
	}
}

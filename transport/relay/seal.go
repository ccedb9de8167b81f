package relay

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
)

// Header carries the seal of a request that was passed on: the time in Unix milliseconds, the client's address, and the
// HMAC-SHA256 of both, the session id and the method.
const Header = "X-Nexus-Relay"

// sealFor is how far the clocks of two nodes, and the way between them, may lie apart.
const sealFor = 30 * time.Second

// derive makes keys for seals alone of secrets that serve other ends too.
func derive(secrets [][]byte) (keys [][]byte, err error) {
	if len(secrets) == 0 {
		return nil, errors.New("relay: no secret")
	}
	for _, s := range secrets {
		key, err := hkdf.Key(sha256.New, s, nil, "nexus relay seal", sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("relay: %w", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func (r *Relay) seal(now time.Time, client netip.Addr, sid, method string) string {
	at, ip := strconv.FormatInt(now.UnixMilli(), 10), client.String()
	return at + " " + ip + " " + base64.RawURLEncoding.EncodeToString(mac(r.keys[0], at, ip, sid, method))
}

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p) // with its length, so that no two lists read alike
	}
	return h.Sum(nil)
}

// open returns the client's address if the seal is a node's own, and fresh.
func (r *Relay) open(seal string, now time.Time, sid, method string) (netip.Addr, bool) {
	parts := strings.Split(seal, " ")
	if len(parts) != 3 {
		return netip.Addr{}, false
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || now.Sub(time.UnixMilli(at)).Abs() > sealFor {
		return netip.Addr{}, false
	}
	sum, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return netip.Addr{}, false
	}
	for _, key := range r.keys {
		if hmac.Equal(sum, mac(key, parts[0], parts[1], sid, method)) {
			ip, err := netip.ParseAddr(parts[1])
			return ip, err == nil
		}
	}
	return netip.Addr{}, false
}

// Relayed returns the address of the client for whom another node passed the request on. It reports false for every other request,
// whatever it says of itself.
func (r *Relay) Relayed(c *fiber.Ctx) (netip.Addr, bool) {
	seal := c.Get(Header)
	if seal == "" || strings.TrimRight(c.Path(), "/") != r.cfg.Path {
		return netip.Addr{}, false
	}
	return r.open(seal, time.Now(), c.Query("sid"), c.Method())
}

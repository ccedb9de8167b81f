package pgdev

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	pointer = "POSTGRES-DATA-IS-ELSEWHERE.txt"
	port    = "5432"
	// A socket address holds 107 bytes on Linux and 103 on macOS.
	maxSocket = 103
)

// home is the place of one cluster: who runs it, and where its files are.
type home struct {
	asked string // the directory that was asked for, absolute and free of symbolic links
	dir   string // the directory that holds the files
	uid   int    // the user that postgres runs as
	gid   int
}

func (h home) data() string { return h.path("data") }

// name tells this home from all others, also among the processes of a machine.
func (h home) name() string { return "nexus-" + digest(h.dir) }

// settle decides where the cluster of dir lives and which user runs it, and
// makes the folders.
func settle(dir, base string) (home, error) {
	root := os.Geteuid() == 0
	mode := fs.FileMode(0o700)
	if root {
		mode = 0o711 // postgres's user has to pass through
	}
	dir, err := makePath(dir, mode)
	if err != nil {
		return home{}, err
	}
	h := home{asked: dir, dir: dir, uid: os.Geteuid(), gid: os.Getegid()}
	if root {
		if h, err = settleRoot(h, base); err != nil {
			return home{}, err
		}
	}
	return h, h.makeSocketDir()
}

// settleRoot gives the home to a user that PostgreSQL accepts and, if that user
// cannot reach it or the data already went there, moves it below base.
func settleRoot(h home, base string) (home, error) {
	var err error
	if h.uid, h.gid, err = account(h.data()); err != nil {
		return h, err
	}
	_, err = os.Lstat(h.path(pointer))
	if errors.Is(err, fs.ErrNotExist) && reachable(h.dir, h.uid, h.gid) {
		return h, nil
	}
	if h.dir, err = makePath(filepath.Join(base, digest(h.asked)), 0o711); err != nil {
		return h, err
	}
	// The data that is there may have another owner than fresh data would get.
	if h.uid, h.gid, err = account(h.data()); err != nil {
		return h, err
	}
	if !reachable(h.dir, h.uid, h.gid) {
		return h, fmt.Errorf("user %d, who runs PostgreSQL for root, can reach neither %s nor %s", h.uid, h.asked, h.dir)
	}
	text := fmt.Sprintf("root started PostgreSQL here, whose user (uid %d) cannot reach this directory.\nIts data is in\n%s\n", h.uid, h.dir)
	return h, os.WriteFile(filepath.Join(h.asked, pointer), []byte(text), 0o600)
}

// account is who runs PostgreSQL for root: the owner of the data if there is
// any, else postgres, else nobody.
func account(data string) (uid, gid int, err error) {
	if info, err := os.Lstat(data); err == nil {
		if uid, gid := owner(info); uid != 0 {
			return uid, gid, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err = errors.Join(uidErr, gidErr); err != nil {
			return 0, 0, fmt.Errorf("look up user %s: %w", name, err)
		}
		return uid, gid, nil
	}
	return 0, 0, errors.New("PostgreSQL refuses root, and there is no user postgres or nobody to run it as")
}

// reachable reports whether a user may pass through a directory and all above
// it, by the mode bits alone.
func reachable(dir string, uid, gid int) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		u, g := owner(info)
		bit := fs.FileMode(0o001)
		switch {
		case u == uid:
			bit = 0o100
		case g == gid:
			bit = 0o010
		}
		if info.Mode()&bit == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// socket is the directory of the socket: in the home, unless that makes the
// address too long or has a comma, which separates hosts in a connection string.
// The other place is below /tmp, the same for every login session, unlike
// XDG_RUNTIME_DIR and TMPDIR.
func (h home) socket() string {
	dir := h.path("run")
	if len(dir)+len("/.s.PGSQL."+port) > maxSocket || strings.Contains(dir, ",") {
		return filepath.Join("/tmp", h.name())
	}
	return dir
}

// makeSocketDir makes the directory of the socket, or checks that the one that
// is there is private: below /tmp anybody could have made it.
func (h home) makeSocketDir() error {
	dir := h.socket()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	uid, _ := owner(info)
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || uid != h.uid && uid != os.Geteuid() {
		return fmt.Errorf("%s must be a directory of mode 0700 that belongs to user %d: remove it", dir, h.uid)
	}
	return h.give(dir)
}

// openFile opens a file of the home, made if missing, for the user that owns
// the home. It follows no symbolic link: root may work in a stranger's directory.
func (h home) openFile(name string, flags int) (*os.File, error) {
	f, err := os.OpenFile(h.path(name), flags|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 {
		if err = f.Chown(h.uid, h.gid); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// give hands a directory or file that root made to the user that runs postgres.
func (h home) give(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return os.Lchown(path, h.uid, h.gid)
}

// credential is what a child has to become, nil if it is that already.
func (h home) credential() *syscall.Credential {
	if os.Geteuid() == h.uid {
		return nil
	}
	return &syscall.Credential{Uid: uint32(h.uid), Gid: uint32(h.gid)}
}

func owner(info fs.FileInfo) (uid, gid int) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		panic(fmt.Sprintf("no owner in the file information of %s", info.Name()))
	}
	return int(stat.Uid), int(stat.Gid)
}

// makePath makes a directory with all above it, and returns its absolute path
// free of symbolic links.
func makePath(dir string, mode fs.FileMode) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err = makeAll(dir, mode); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// makeAll is os.MkdirAll with the mode as given: a strict umask of root's would
// keep PostgreSQL's user out.
func makeAll(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeAll(filepath.Dir(dir), mode); err == nil {
			err = os.Mkdir(dir, mode)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

func digest(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:6])
}

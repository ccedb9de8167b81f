package imports

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"nexus"
)

// zip is what the bundle as a whole is called.
func (f *reading) zip() string { return "bundle.zip" }

// zipDetail says what is wrong with a zip; "" if that is not what err is about.
func zipDetail(err error) string {
	switch corrupt := flate.CorruptInputError(0); {
	case errors.Is(err, zip.ErrAlgorithm):
		return "is packed in a way that is not taken: use Deflate, without a password"
	case errors.Is(err, zip.ErrFormat), errors.Is(err, zip.ErrChecksum), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		return "is no zip file, or is damaged"
	default:
		return ""
	}
}

// opened is a bundle that is being read.
type opened struct {
	*reading
	files  map[string]*zip.File
	left   *allowance
	terms  map[string]bool   // sessions by sourcedId: whether it is a term, and no year or grading period
	codes  map[string]string // of courses, by sourcedId
	orgIDs map[string]bool
}

func (f *reading) open() (*opened, error) {
	size, err := f.File.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	if err := checkDirectory(f.File, size); err != nil {
		f.found.add(nexus.ImportError{File: f.zip(), Detail: err.Error()})
		return nil, errNoTable
	}
	z, err := zip.NewReader(f.File, size)
	if broken := zipDetail(err); broken != "" {
		f.found.add(nexus.ImportError{File: f.zip(), Detail: broken})
		return nil, errNoTable
	}
	if err != nil {
		return nil, err
	}
	b := &opened{
		reading: f, files: map[string]*zip.File{}, left: &allowance{most: unpacks * f.most, left: unpacks * f.most},
		terms: map[string]bool{}, codes: map[string]string{}, orgIDs: map[string]bool{},
	}
	if len(z.File) > mostEntries {
		f.found.add(nexus.ImportError{File: f.zip(), Detail: fmt.Sprintf("holds more than %d files", mostEntries)})
		return nil, errNoTable
	}
	for _, file := range z.File {
		b.files[file.Name] = file
	}
	for name := range bundleFiles {
		if b.files[name] == nil {
			f.found.add(nexus.ImportError{File: name, Detail: "is not in the bundle, whose files lie at its top"})
			err = errNoTable
		}
	}
	if err == nil && f.progress.total.Load() == 0 {
		err = b.countRows()
	}
	return b, err
}

// checkDirectory bounds a zip's table of contents, which the library takes into memory as a whole, however many files it names.
func checkDirectory(f io.ReaderAt, size int64) error {
	tail := make([]byte, min(size, mostComment+endRecord))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return errors.New("cannot be read")
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < endRecord {
		return errors.New("is no zip file, or is damaged")
	}
	end := size - int64(len(tail)-at)
	length, offset := int64(binary.LittleEndian.Uint32(tail[at+12:])), int64(binary.LittleEndian.Uint32(tail[at+16:]))
	if length > mostDirectory || end-offset > mostDirectory || offset > end {
		return fmt.Errorf("holds more than %d files, or is damaged", mostEntries)
	}
	return nil
}

// countRows sums up the rows of all files that are read.
func (b *opened) countRows() error {
	var total int64
	for name := range bundleFiles {
		err := b.with(name, func(r io.Reader) error {
			n, err := count(r)
			if name != manifestCSV { // which is read as well, to find out whether it can be
				total += n
			}
			return err
		})
		if err != nil {
			return err
		}
		if b.left.spoilt != "" {
			return errNoTable
		}
	}
	b.left.left = b.left.most
	b.progress.total.Store(total)
	return nil
}

// allowance is how much may still be unpacked, whatever the bundle says of its sizes, and why no more is.
type allowance struct {
	most, left int64
	spoilt     string
}

// unpacked is a file of a bundle. What cannot be unpacked ends it, for its rows may be on their way into the database.
type unpacked struct {
	io.Reader
	*allowance
}

// Read implements io.Reader.
func (u unpacked) Read(p []byte) (int, error) {
	if u.spoilt != "" {
		return 0, io.EOF
	}
	n, err := u.Reader.Read(p)
	if u.left -= int64(n); u.left < 0 {
		u.spoilt = fmt.Sprintf("the bundle unpacks to more than %d bytes", u.most)
	} else if err != nil {
		u.spoilt = zipDetail(err)
	}
	if u.spoilt != "" {
		return 0, io.EOF
	}
	return n, err
}

// with reads a file of the bundle, and notes it if that cannot be done to its end.
func (b *opened) with(name string, do func(io.Reader) error) error {
	r, err := b.files[name].Open()
	if err != nil {
		b.left.spoilt = zipDetail(err)
	} else {
		err = errors.Join(do(unpacked{r, b.left}), r.Close())
	}
	if b.left.spoilt != "" {
		b.found.add(nexus.ImportError{File: b.zip(), Detail: b.left.spoilt})
		return nil
	}
	return err
}

// each reads a file whose rows are not staged.
func (b *opened) each(name string, do func(*row)) error {
	return b.with(name, func(r io.Reader) error {
		passed := func() { b.progress.done.Add(1) }
		if name == manifestCSV {
			passed = func() {}
		}
		t, err := openTable(r, bundleFiles[name], &b.found, passed)
		if err != nil {
			if errors.Is(err, errNoTable) {
				return nil
			}
			return err
		}
		for {
			r, err := t.next()
			if r == nil || err != nil {
				return err
			}
			do(r)
		}
	})
}

package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"nexus"
	"nexus/transport/rest/problem"
)

// ImportsPath is below Base where files are handed in. The server leaves their bodies to this package.
const ImportsPath = "/imports"

const (
	filesAtOnce              = 2 // for each may bring a file as large as there are
	bucketImport      bucket = "import:"
	usualImportBytes         = 100 << 20
	formBytes                = 4 << 10 // that a form may have around its file
	startImportWithin        = 10 * time.Second
)

// What the files hold, for the document.
var importFiles = []struct {
	kind           nexus.ImportKind
	summary, about string
}{
	{nexus.ImportUsers, "Import accounts", "Columns: email, name; optional regNo, roles, department, course, semester, phone, externalId. An account is found by " +
		"externalId, e-mail address or registration number, which must not lead to different ones. Roles are parted by semicolons; ADMIN is not " +
		"given by a file. An account that is made has no password."},
	{nexus.ImportCourses, "Import courses", "Columns: termId, code, title, credits, capacity; optional waitlistCapacity, minAttendancePct, instructors (e-mail addresses) " +
		"and prerequisites (codes), both parted by semicolons; a lone semicolon empties them. A course is found by its term and code."},
	{nexus.ImportEnrollments, "Import enrolments", "Columns: termId, courseCode, user (e-mail address or registration number); optional status: ENROLLED, which is usual and takes a " +
		"seat, COMPLETED or DROPPED."},
	{nexus.ImportOneRoster, "Import a OneRoster 1.1 bundle", "A zip of manifest.csv, orgs.csv, academicSessions.csv, courses.csv, classes.csv, users.csv and enrollments.csv, all of " +
		"them bulk. Terms and semesters become terms, classes courses; each is found again by its sourcedId."},
}

const aboutImports = " The first line names the columns, in any order; fields are parted by commas, in UTF-8. An empty cell leaves what is there. The file is " +
	"taken over as a whole or not at all: the answer names the run, which is looked up until it has ended, and its errors, by line and column. With " +
	"dryRun everything is done but the change."

func (a *API) importRoutes() {
	tag := []string{"imports"}
	for _, f := range importFiles {
		media := "text/csv"
		if f.kind == nexus.ImportOneRoster {
			media = "application/zip"
		}
		handle(a, huma.Operation{
			Method: http.MethodPost, Path: ImportsPath + "/" + string(f.kind), DefaultStatus: http.StatusAccepted, Tags: tag,
			Summary: f.summary, Description: f.about + aboutImports,
		}, roles(nexus.Admin).at(bucketImport), func(ctx context.Context, in *uploadInput) (*accepted, error) {
			return a.startImport(ctx, f.kind, media, in)
		})
		// Told only now, for the framework would read what it knows of.
		binary := &huma.Schema{Type: "string", Format: "binary"}
		a.spec(http.MethodPost, ImportsPath+"/"+string(f.kind)).RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			media: {Schema: binary},
			"multipart/form-data": {Schema: &huma.Schema{
				Type: "object", Required: []string{"file"}, Properties: map[string]*huma.Schema{"file": binary},
			}},
		}}
	}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: ImportsPath, Tags: tag,
		Summary: "Imports, the newest first",
	}, roles(nexus.Admin), func(ctx context.Context, in *Paged) (*Answer[nexus.List[nexus.Import]], error) {
		if in.After != "" && !nexus.ValidID(in.After) {
			return nil, nexus.InvalidField("after", "is not a cursor of this list")
		}
		return answer(a.Imports.Imports(ctx, in.page()))
	})
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: ImportsPath + "/{id}", Tags: tag,
		Summary: "One import: how far it is, or what has become of it",
	}, roles(nexus.Admin), func(ctx context.Context, in *ByID) (*Answer[nexus.Import], error) {
		return answer(a.Imports.Import(ctx, nexus.ImportID(in.ID)))
	})
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: ImportsPath + "/{id}/errors", Tags: tag,
		Summary: "What is wrong with an import's file, the first thousand things",
	}, roles(nexus.Admin), func(ctx context.Context, in *importErrorsInput) (*Answer[nexus.List[nexus.ImportError]], error) {
		if !ordinal.MatchString(in.After) {
			return nil, nexus.InvalidField("after", "is not a cursor of this list")
		}
		return answer(a.Imports.ImportErrors(ctx, nexus.ImportID(in.ID), in.page()))
	})
}

// ordinal counts errors, or is nothing.
var ordinal = regexp.MustCompile(`^[0-9]{0,6}$`)

type importErrorsInput struct {
	ByID
	Paged
}

// onWire is the body of a request that is still on the wire.
type onWire struct {
	method, target, media string
	length                int // below 0: unknown
	body                  io.Reader
}

// uploadInput is a request with a file.
type uploadInput struct {
	onWire
	Key    string `header:"Idempotency-Key" maxLength:"200" doc:"Makes a retry safe: the same key and file give the first answer again"`
	DryRun string `query:"dryRun" enum:"true,false" default:"false" doc:"Check the file and say what would change"`
	TZ     string `query:"tz" maxLength:"60" default:"UTC" doc:"The zone of terms that a bundle makes, such as Asia/Kolkata"`
}

// Resolve implements huma.Resolver: it keeps what is to be read once the input is known to be right.
func (in *onWire) Resolve(ctx huma.Context) []error {
	c := humafiber.Unwrap(ctx)
	in.method, in.target, in.media = c.Method(), c.OriginalURL(), ctx.Header("Content-Type")
	in.length, in.body = c.Request().Header.ContentLength(), c.Context().RequestBodyStream()
	if in.body != nil && in.length >= 0 {
		in.body = &exactly{in.body, in.length}
	}
	return nil
}

// exactly is a body that was said to have so many bytes left: to end before is an error, which the server's own reader does not see.
type exactly struct {
	io.Reader
	left int
}

// Read implements io.Reader.
func (e *exactly) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if e.left -= n; errors.Is(err, io.EOF) && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// accepted is the answer to what has only begun.
type accepted struct {
	Location string `header:"Location" doc:"Where the run is looked up"`
	Body     nexus.Import
}

func (a *API) startImport(ctx context.Context, kind nexus.ImportKind, media string, in *uploadInput) (*accepted, error) {
	if _, err := time.LoadLocation(in.TZ); err != nil || in.TZ == "Local" {
		return nil, nexus.InvalidField("tz", "is no time zone")
	}
	if most := a.importBytes(); int64(in.length) > most+formBytes {
		return nil, tooLarge(most)
	}
	select {
	case a.files <- struct{}{}:
		defer func() { <-a.files }()
	default:
		return nil, &nexus.Error{Code: nexus.RateLimited, Message: "other files are being handed in, wait for them", RetryAfter: 10 * time.Second}
	}
	hash, err := a.requestHash(in.method, in.target) // with the query: a dry run is another intention
	if err != nil {
		return nil, err
	}
	// The client may take longer for the file than a handler may for the rest.
	ctx = context.WithoutCancel(ctx)
	body, err := in.content(media)
	if err != nil {
		return nil, err
	}
	file, err := a.spool(io.TeeReader(body, hash))
	if err != nil {
		return nil, err
	}
	by := caller(ctx)
	if in.Key != "" {
		by.Once = nexus.Once{Key: in.Key, Hash: hash.Sum(nil)}
		if err := by.Once.Check(); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startImportWithin)
	defer cancel()
	run, err := a.Importer.StartImport(ctx, by, nexus.ImportOrder{Kind: kind, DryRun: in.DryRun == "true", TZ: in.TZ, File: file})
	if err != nil {
		return nil, err
	}
	return &accepted{Location: Base + ImportsPath + "/" + string(run.ID), Body: run}, nil
}

// content is the file within the body: the body itself, or the form's only file.
func (in *uploadInput) content(media string) (io.Reader, error) {
	kind, params, err := mime.ParseMediaType(in.media)
	switch {
	case err != nil || kind != media && kind != "multipart/form-data":
		return nil, nexus.Errorf(nexus.Unsupported, "expected %s, or multipart/form-data with the field file", media)
	case in.body == nil:
		return nil, nexus.InvalidField("body", "expected a file")
	case kind == media && in.length < 0: // the server does not tell the end of the last chunk from that of the connection; a form has an end of its own
		return nil, problem.New(http.StatusLengthRequired, nexus.Invalid, "say in Content-Length how long the file is, so that a part is not taken for the whole")
	case kind == media:
		return in.body, nil
	}
	part, err := multipart.NewReader(in.body, params["boundary"]).NextPart()
	if err != nil || part.FormName() != "file" {
		return nil, nexus.InvalidField("file", "expected a form whose first field is the file")
	}
	return part, nil
}

func (a *API) importBytes() int64 {
	if a.ImportBytes == 0 {
		return usualImportBytes
	}
	return a.ImportBytes
}

func tooLarge(most int64) error {
	return nexus.Errorf(nexus.TooLarge, "a file has %d bytes at most", most)
}

// spool puts a file on disk while it comes in. It has no name there: whatever becomes of the process, it is gone with it.
func (a *API) spool(from io.Reader) (_ *os.File, err error) {
	most := a.importBytes()
	file, err := os.CreateTemp("", "nexus-import-*")
	if err != nil {
		return nil, fmt.Errorf("make a file for the upload: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, fmt.Errorf("take the upload's name away: %w", err)
	}
	n, err := io.Copy(file, io.LimitReader(from, most+1))
	switch netErr := net.Error(nil); {
	case n > most:
		return nil, tooLarge(most)
	case errors.As(err, &netErr) && netErr.Timeout():
		return nil, nexus.Errorf(nexus.Invalid, "the file did not come in time")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nexus.InvalidField("body", "ends too early")
	case err != nil:
		return nil, fmt.Errorf("write the upload: %w", err)
	case n == 0:
		return nil, nexus.InvalidField("body", "expected a file")
	}
	return file, nil
}

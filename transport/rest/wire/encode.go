// Package wire is JSON as the contract with clients wants it: times in UTC with
// exactly three digits of a second, lists that are never null, and input read
// strictly. It works on any type, so that the domain's types need no
// wrappers of their own.
package wire

import (
	"encoding/json"
	"io"
	"reflect"
	"sync"
	"time"
)

// Layout is how every time leaves the server.
const Layout = "2006-01-02T15:04:05.000Z"

// instant is a time as it is written; it takes the place of time.Time in the views below.
type instant time.Time

// MarshalJSON writes the time by Layout, and null for the zero time: "never" is not the year 1.
func (t instant) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return time.Time(t).UTC().AppendFormat(nil, `"`+Layout+`"`), nil
}

// Encode writes v as JSON with a line feed behind it.
func Encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(View(v))
}

// Marshal returns v as JSON.
func Marshal(v any) ([]byte, error) { return json.Marshal(View(v)) }

// View returns a copy of v, field for field, whose times and lists are encoded by encoding/json
// as the package promises. Types that marshal themselves are left as they are.
func View(v any) any {
	if v == nil {
		return nil
	}
	src := reflect.ValueOf(v)
	dst := reflect.New(viewType(src.Type())).Elem()
	fill(dst, src)
	return dst.Interface()
}

var (
	timeType      = reflect.TypeFor[time.Time]()
	instantType   = reflect.TypeFor[instant]()
	marshalerType = reflect.TypeFor[json.Marshaler]()
	views         sync.Map // reflect.Type -> reflect.Type
)

// viewType maps a type to the one of its view. Types that contain themselves
// by a pointer are not supported: no answer is a tree of unknown depth.
func viewType(t reflect.Type) reflect.Type {
	if v, ok := views.Load(t); ok {
		return v.(reflect.Type)
	}
	v := t
	switch {
	case t == timeType:
		v = instantType
	case opaque(t):
	case t.Kind() == reflect.Pointer:
		v = reflect.PointerTo(viewType(t.Elem()))
	case t.Kind() == reflect.Slice:
		v = reflect.SliceOf(viewType(t.Elem()))
	case t.Kind() == reflect.Array:
		v = reflect.ArrayOf(t.Len(), viewType(t.Elem()))
	case t.Kind() == reflect.Map:
		v = reflect.MapOf(t.Key(), viewType(t.Elem()))
	case t.Kind() == reflect.Struct:
		v = structView(t)
	}
	views.Store(t, v)
	return v
}

// opaque types keep their own form: they marshal themselves, or are bytes.
func opaque(t reflect.Type) bool {
	if t.Implements(marshalerType) || reflect.PointerTo(t).Implements(marshalerType) {
		return t != timeType && t != reflect.PointerTo(timeType)
	}
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func structView(t reflect.Type) reflect.Type {
	var fields []reflect.StructField
	for f := range exported(t) {
		fields = append(fields, reflect.StructField{
			Name: f.Name, Type: viewType(f.Type), Tag: f.Tag, Anonymous: f.Anonymous,
		})
	}
	return reflect.StructOf(fields)
}

// exported yields the fields that JSON shows.
func exported(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.IsExported() && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

func fill(dst, src reflect.Value) {
	t := src.Type()
	switch {
	case t == timeType:
		dst.Set(src.Convert(instantType))
	case opaque(t):
		dst.Set(src)
	default:
		fillKind(dst, src)
	}
}

func fillKind(dst, src reflect.Value) {
	switch src.Kind() {
	case reflect.Pointer:
		if !src.IsNil() {
			dst.Set(reflect.New(dst.Type().Elem()))
			fill(dst.Elem(), src.Elem())
		}
	case reflect.Interface:
		if !src.IsNil() {
			dst.Set(reflect.ValueOf(View(src.Elem().Interface())))
		}
	case reflect.Slice:
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			fill(dst.Index(i), src.Index(i))
		}
	case reflect.Array:
		for i := range src.Len() {
			fill(dst.Index(i), src.Index(i))
		}
	case reflect.Map:
		dst.Set(reflect.MakeMapWithSize(dst.Type(), src.Len()))
		for k, v := range src.Seq2() {
			e := reflect.New(dst.Type().Elem()).Elem()
			fill(e, v)
			dst.SetMapIndex(k, e)
		}
	case reflect.Struct:
		i := 0
		for f := range exported(src.Type()) {
			fill(dst.Field(i), src.FieldByIndex(f.Index))
			i++
		}
	default:
		dst.Set(src)
	}
}

package imports_test

import (
	"fmt"
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg/pgfix"
)

// kind is one way for a row to be wrong.
type kind struct{ name, row, field, detail string }

// kindsOfFaults are rows of a file with the columns email, regNo, name, roles, department, semester, phone and externalId, behind two that are right.
// There are ann1 to ann5, of whom the second and the fifth are x2 and x3 to the office, and the third is erased.
var kindsOfFaults = []kind{
	{"not UTF-8", "a1@c.example,,Jos\xe9,STUDENT,,,,", "name", "is not in UTF-8: save the file as CSV in UTF-8"},
	{"NUL byte", "a2@c.example,,A\x00B,STUDENT,,,,", "name", "holds a NUL byte"},
	{"control character", "a3@c.example,,A\x1b[31mB,STUDENT,,,,", "name", "holds a character that does not show"},
	{"reversed direction", "a4@c.example,,A\u202eB,STUDENT,,,,", "name", "holds a character that does not show"},
	{"too few fields", "a5@c.example,,Ann", "", "has 3 fields where the head has 8: is a comma missing, or within a field that is not quoted?"},
	{"too many fields", "a6@c.example,,Rao, Ann,STUDENT,,,,", "", "has 9 fields where the head has 8: is a comma missing, or within a field that is not quoted?"},
	{"bare quote", `a7@c.example,,Ann "A",STUDENT,,,,`, "name", "a quote stands within a field that is not quoted: quote the whole field and double the quotes in it"},
	{"quote that is not doubled", `a8@c.example,,"Ann "A",STUDENT,,,,`, "name", "something stands behind a closing quote: double the quotes within a field"},
	{"no address", ",R9,Ann,STUDENT,,,,", "email", "is empty"},
	{"no name", "a10@c.example,,  ,STUDENT,,,,", "name", "is empty"},
	{"name too long", "a11@c.example,," + strings.Repeat("é", 121) + ",STUDENT,,,,", "name", "has more than 120 characters"},
	{"address too long", strings.Repeat("a", 250) + "@c.example,,Ann,STUDENT,,,,", "email", "has more than 254 characters"},
	{"no address at all", "ann at c.example,,Ann,STUDENT,,,,", "email", "is not an e-mail address"},
	{"address with a name", "Ann <a14@c.example>,,Ann,STUDENT,,,,", "email", "is not an e-mail address"},
	{"registration number of a wrong form", "a15@c.example,R 15,Ann,STUDENT,,,,", "regNo", "is not a registration number: letters, digits and /_.- alone"},
	{"registration number too long", "a16@c.example," + strings.Repeat("R", 41) + ",Ann,STUDENT,,,,", "regNo", "has more than 40 characters"},
	{"unknown role", "a17@c.example,,Ann,STUDENT;TEACHER,,,,", "roles", "is no role; there are STUDENT, FACULTY, MESS_STAFF and SECURITY, parted by semicolons"},
	{"administrator", "a18@c.example,,Ann,STUDENT;ADMIN,,,,", "roles", "is not given by an import"},
	{"too many roles", "a19@c.example,,Ann,A;B;C;D;E;F,,,,", "roles", "holds more than 5, parted by semicolons"},
	{"no role for a new account", "a20@c.example,,Ann,,,,,", "roles", "is needed for a new account"},
	{"department too long", "a21@c.example,,Ann,STUDENT," + strings.Repeat("d", 121) + ",,,", "department", "has more than 120 characters"},
	{"no number", "a22@c.example,,Ann,STUDENT,,third,,", "semester", "is not a whole number"},
	{"fraction", "a23@c.example,,Ann,STUDENT,,1.5,,", "semester", "is not a whole number"},
	{"negative", "a24@c.example,,Ann,STUDENT,,-1,,", "semester", "is negative"},
	{"out of range", "a25@c.example,,Ann,STUDENT,,99999999999999999999,,", "semester", "is not from 0 to 20"},
	{"no phone number", "a26@c.example,,Ann,STUDENT,,,call me,", "phone", "is not a phone number"},
	{"phone number too long", "a27@c.example,,Ann,STUDENT,,," + strings.Repeat("1", 33) + ",", "phone", "has more than 32 characters"},
	{"external id too long", "a28@c.example,,Ann,STUDENT,,,," + strings.Repeat("x", 256), "externalId", "has more than 255 characters"},
	{"address there twice", "Right@C.example,,Ann,STUDENT,,,,", "email", "is on line 2 already"},
	{"registration number there twice", "a30@c.example,right/1,Ann,STUDENT,,,,", "regNo", "is on line 2 already"},
	{"external id there twice", "a31@c.example,,Ann,STUDENT,,,,right", "externalId", "is on line 2 already"},
	{"address and registration number of two accounts", "ann1@campus.example,ANN2,Ann,,,,,", "regNo", "belongs to another account than the e-mail address"},
	{"external id and address of two accounts", "ann5@campus.example,,Ann,,,,,x2", "email", "belongs to another account than externalId"},
	{"external id and registration number of two accounts", "a34@c.example,ANN1,Ann,,,,,x3", "regNo", "belongs to another account than externalId"},
	{"an account by two keys", "a35@c.example,ANN4,Ann,,,,,", "email", "is of the same account as line 3"},
	{"erased account", "ann3@campus.example,,Ann,,,,,", "email", "the account is erased"},
	{"quote never closed", `a37@c.example,,"Ann,STUDENT,,,,`, "name", "a quote is opened here and never closed"},
}

// TestEveryKindOfFaultIsNamed, all in one go, and nothing of the file is taken.
func TestEveryKindOfFaultIsNamed(t *testing.T) {
	t.Parallel()
	o := open(t)
	anns := pgfix.Users(t, o.db, "ann", nexus.Student, 5)
	o.exec(`update app_user set status = 'erased' where id = $1`, string(anns[2]))
	o.exec(`insert into external_id (source, kind, sourced_id, id) values ('office', 'user', 'x2', $1), ('office', 'user', 'x3', $2)`, string(anns[1]), string(anns[4]))
	lines := []string{
		"email,regNo,name,roles,department,semester,phone,externalId",
		`right@c.example,RIGHT/1,"Rao, ""Ann""",STUDENT,Physics,3,+91 (0)1,right`,
		"ann4@campus.example,,=cmd()+1,,-1+1,,,", // what a spreadsheet takes for a formula is text here
	}
	var want []string
	for _, k := range kindsOfFaults {
		want = append(want, fmt.Sprintf("%d %s: %s", len(lines)+1, k.field, k.detail))
		lines = append(lines, k.row)
	}
	if len(kindsOfFaults) != 37 {
		t.Errorf("%d kinds", len(kindsOfFaults))
	}
	before := o.campus()
	o.wrong(nexus.ImportUsers, lines, want...)
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

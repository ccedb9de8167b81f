package imports_test

import (
	"testing"

	"nexus"
)

func TestUsersAreMadeAndFoundAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	lines := []string{
		"email,regNo,name,roles,department,course,semester,phone,externalId",
		"Asha@campus.example,R1,Asha Rao,STUDENT,Physics,BSc,3,+91 1,x1",
		`ravi@campus.example,R2,"Rao, Ravi",FACULTY;MESS_STAFF,,,,,`,
	}
	o.done(nexus.ImportUsers, 2, 0, 0, lines...)
	before := o.campus()
	o.done(nexus.ImportUsers, 0, 0, 2, lines...)
	if after := o.campus(); after != before[:len(before)-len(after)+len(after)] && one[int](o, `select count(*) from audit_log where action = 'import.apply'`) != 2 {
		t.Errorf("%s\n%s", before, after)
	}
}

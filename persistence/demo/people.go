package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/alexedwards/argon2id"

	"nexus"
)

// hashing costs what the server's own hashing costs, once for everybody.
var hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// person is an account and its profile.
type person struct {
	email, regNo, name, role                 string
	department, course, hostel, room, warden string
	bio, address, phone                      string
	semester                                 int
	born                                     time.Time
	guardian                                 string // empty for staff
}

var (
	students = []string{
		"Aarav Sharma", "Diya Patel", "Vivaan Reddy", "Ananya Iyer", "Aditya Verma", "Ishita Banerjee", "Arjun Nair", "Kavya Menon",
		"Rohan Gupta", "Meera Krishnan", "Kabir Singh", "Saanvi Joshi", "Imran Sheikh", "Nisha Thomas", "Dev Malhotra", "Pooja Yadav",
		"Karthik Subramanian", "Riya Chatterjee", "Manish Kumar", "Fatima Ansari", "Siddharth Rao", "Tanvi Deshpande", "Harsh Agarwal", "Lakshmi Pillai",
		"Nikhil Jain", "Sneha Kulkarni", "Yusuf Khan", "Aditi Mishra", "Gurpreet Kaur", "Varun Bhat", "Maria D'Souza", "Abhishek Tiwari",
		"Shreya Ghosh", "Rahul Meena", "Zoya Qureshi", "Pranav Hegde", "Neha Saxena", "Tenzin Dorje", "Anjali Sinha", "Vikram Chauhan",
	}
	faculty = []struct{ name, department string }{
		{"Dr. Sunita Rangarajan", "Computer Science"},
		{"Dr. Prakash Mukherjee", "Electrical Engineering"},
		{"Dr. Leela Varghese", "Mathematics"},
		{"Dr. Farhan Siddiqui", "Mechanical Engineering"},
	}
	officers    = []string{"Ramesh Rathore", "Savita Pawar", "Joseph Lakra"}
	departments = []struct{ name, course string }{
		{"Computer Science", "B.Tech Computer Science"},
		{"Electrical Engineering", "B.Tech Electrical Engineering"},
		{"Mechanical Engineering", "B.Tech Mechanical Engineering"},
		{"Mathematics", "B.Sc Mathematics"},
		{"Design", "B.Des"},
	}
	hostels = []struct{ name, warden string }{
		{"Nilgiri", "Mr. Suresh Kamath"}, {"Shivalik", "Mrs. Padma Rao"}, {"Vindhya", "Mr. Anthony Fernandes"}, {"Satpura", "Ms. Rukmini Das"},
	}
	towns = []string{
		"14 Lake Road, Kolkata", "7 Gandhi Nagar, Jaipur", "221 Anna Salai, Chennai", "36 Residency Road, Bengaluru", "5 Civil Lines, Nagpur",
		"48 Marine Drive, Kochi", "9 Hazratganj, Lucknow", "63 Banjara Hills, Hyderabad",
	}
	bios = []string{
		"Tea before lectures, always.", "Plays the tabla and debugs compilers.", "Badminton, breadboards, biryani.", "Second shelf of the library, window seat.",
		"Cycling club. Ask me about the Sunday rides.", "Here for the maths, staying for the dosa.", "",
	}
)

// people lists the demo accounts.
func people() []person {
	var all []person
	for i, name := range students {
		d, h := departments[i%len(departments)], hostels[i%len(hostels)]
		semester := 2*(i%4) + 1
		all = append(all, person{
			email: fmt.Sprintf("student%d@demo.nexus", i+1), regNo: fmt.Sprintf("DEMO%03d", i+1), name: name, role: string(nexus.Student),
			department: d.name, course: d.course, semester: semester,
			hostel: h.name, room: fmt.Sprintf("%c-%d%02d", 'A'+i%3, 1+i%4, 1+i/2), warden: h.warden,
			bio: bios[i%len(bios)], address: towns[i%len(towns)], phone: phone(100 + i),
			born:     time.Date(2008-semester/2, time.Month(1+i*5%12), 1+i*7%28, 0, 0, 0, 0, time.UTC),
			guardian: phone(500 + i),
		})
	}
	staff := func(email, name string, role nexus.Role, department string) {
		n := len(all)
		all = append(all, person{
			email: email, name: name, role: string(role), department: department, phone: phone(100 + n),
			address: "Staff Quarters " + fmt.Sprint(n-len(students)+1) + ", on campus",
			born:    time.Date(1968+n%20, time.Month(1+n%12), 1+n%28, 0, 0, 0, 0, time.UTC),
		})
	}
	for i, f := range faculty {
		staff(fmt.Sprintf("faculty%d@demo.nexus", i+1), f.name, nexus.Faculty, f.department)
	}
	staff("mess1@demo.nexus", "Ganesh Shetty", nexus.MessStaff, "Dining Services")
	for i, name := range officers {
		staff(fmt.Sprintf("officer%d@demo.nexus", i+1), name, nexus.Security, "Campus Security")
	}
	staff("admin@demo.nexus", "Revathi Narayanan", nexus.Admin, "Registrar's Office")
	return all
}

// phone is a number that rings nowhere: no Indian mobile number begins with 5.
func phone(n int) string { return fmt.Sprintf("+91 55501 %05d", n) }

// users adds the accounts that are missing, with roles, profiles and guardians.
func (s seeder) users(ctx context.Context) (int64, error) {
	hash, err := argon2id.CreateHash(Password, hashing)
	if err != nil {
		return 0, err
	}
	all := people()
	column := func(of func(person) string) []string { return each(all, of) }
	made, err := s.insert(ctx, `
with input as (
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[],
        $11::text[], $12::text[], $13::text[], $14::int[], $15::date[], $16::text[])
    as i(id, email, reg_no, name, role, department, course, hostel, room, warden, bio, address, phone, semester, dob, guardian)
), account as (
    insert into app_user (id, email, reg_no, password_hash) select id, email, nullif(reg_no, ''), $17 from input
    on conflict do nothing returning id
), role as (
    insert into user_role (user_id, role) select id, role from input join account using (id)
), guardian as (
    insert into emergency_contact (user_id, rank, name, channel, address)
    select id, 1, 'Guardian of ' || name, 'sms', guardian from input join account using (id) where guardian <> ''
)
insert into profile (user_id, full_name, phone, address, bio, dob, hostel, room, warden, department, course, semester, tz)
select id, name, phone, address, bio, dob, hostel, room, warden, department, course, semester, $18 from input join account using (id)`,
		ids(len(all)),
		column(func(p person) string { return p.email }), column(func(p person) string { return p.regNo }),
		column(func(p person) string { return p.name }), column(func(p person) string { return p.role }),
		column(func(p person) string { return p.department }), column(func(p person) string { return p.course }),
		column(func(p person) string { return p.hostel }), column(func(p person) string { return p.room }),
		column(func(p person) string { return p.warden }), column(func(p person) string { return p.bio }),
		column(func(p person) string { return p.address }), column(func(p person) string { return p.phone }),
		each(all, func(p person) int { return p.semester }), each(all, func(p person) time.Time { return p.born }),
		column(func(p person) string { return p.guardian }), hash, zone)
	return made, err
}

// each maps a list.
func each[T, U any](list []T, of func(T) U) []U {
	out := make([]U, len(list))
	for i, v := range list {
		out[i] = of(v)
	}
	return out
}

// ids makes n fresh ids.
func ids(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = nexus.NewID()
	}
	return out
}

package inputs

import "fmt"

// prose adds n bytes of text in lines.
func (m *maker) prose(n int) {
	end := len(m.out) + n
	column := 0
	for len(m.out) < end {
		w := m.word()
		if m.below(12) == 0 {
			w += m.pick(".", ",", ";", ".")
		}
		if column += len(w) + 1; column > 72 {
			m.add("\n")
			column = len(w)
		} else if column > len(w)+1 {
			m.add(" ")
		}
		m.add(w)
	}
	m.out = m.out[:end]
}

// source adds n bytes that look like a program.
func (m *maker) source(n int) {
	end := len(m.out) + n
	for len(m.out) < end {
		m.add("func (" + m.word()[:1] + " *" + m.word() + ") " + m.word() + "(" + m.word() + " int) error {\n")
		for range 1 + m.low(12) {
			switch m.below(5) {
			case 0:
				m.add("\tif err := " + m.word() + "." + m.word() + "(); err != nil {\n\t\treturn err\n\t}\n")
			case 1:
				m.add(fmt.Sprintf("\tfor i := range %s[%d:] {\n\t\t%s[i] += %#x\n\t}\n", m.word(), m.low(100), m.word(), m.low(1<<16)))
			case 2:
				m.add("\t// " + m.word() + " " + m.word() + " " + m.word() + "\n")
			case 3:
				m.add("\t" + m.word() + " = " + m.word() + m.pick(" + ", " * ", " | ", " - ") + m.word() + "\n")
			default:
				m.add("\tlog.Printf(\"" + m.word() + " %s: %v\", " + m.word() + ", " + m.word() + ")\n")
			}
		}
		m.add("\treturn nil\n}\n\n")
	}
	m.out = m.out[:end]
}

// json adds n bytes like a lock file of packages: keys that repeat, digests
// that do not.
func (m *maker) json(n int) {
	end := len(m.out) + n
	for len(m.out) < end {
		name := m.word() + "-" + m.word()
		version := fmt.Sprintf("%d.%d.%d", m.low(20), m.low(30), m.low(60))
		m.add("    \"node_modules/" + name + "\": {\n      \"version\": \"" + version + "\",\n")
		m.add("      \"resolved\": \"https://registry.example.org/" + name + "/-/" + name + "-" + version + ".tgz\",\n")
		m.add("      \"integrity\": \"sha512-")
		m.base64(86)
		m.add("==\",\n      \"license\": \"" + m.pick("MIT", "MIT", "ISC", "Apache-2.0") + "\"\n    },\n")
	}
	m.out = m.out[:end]
}

// base64 adds n letters that only a Huffman code makes smaller.
func (m *maker) base64(n int) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	for range n {
		m.out = append(m.out, digits[m.below(64)])
	}
}

// noise adds n bytes that nothing makes smaller.
func (m *maker) noise(n int) {
	for range n {
		m.out = append(m.out, byte(m.next()>>40))
	}
}

// grey adds n bytes of noise, of which shade in 128 are small numbers.
func (m *maker) grey(shade, n int) {
	for range n {
		c := byte(m.next() >> 40)
		if m.below(128) < shade {
			c &= 31
		}
		m.out = append(m.out, c)
	}
}

// run adds a byte n times.
func (m *maker) run(c byte, n int) {
	for range n {
		m.out = append(m.out, c)
	}
}

// steep adds n bytes, each value about 3/5 as frequent as the one before, so
// that an optimal code would be longer than DEFLATE allows. Noise between keeps
// matches away.
func (m *maker) steep(n int) {
	for range n / 2 {
		c := byte(0)
		for c < 40 && m.below(5) > 1 {
			c++
		}
		m.out = append(m.out, c, 128+byte(m.below(128)))
	}
}

// little adds the n lowest bytes of v.
func (m *maker) little(v uint64, n int) {
	for range n {
		m.out = append(m.out, byte(v))
		v >>= 8
	}
}

// machine adds n bytes like an executable's: code, tables of addresses, names.
func (m *maker) machine(n int) {
	end := len(m.out) + n
	m.add("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00")
	for len(m.out) < end {
		switch m.below(9) {
		case 0: // addresses
			at := uint64(0x400000 + m.below(1<<20)*16)
			for range 8 + m.low(200) {
				m.little(at, 8)
				at += uint64(16 * (1 + m.low(30)))
			}
		case 1: // names
			for range 4 + m.low(60) {
				m.add("_" + m.word() + m.pick("", "_"+m.word()) + "\x00")
			}
		case 2: // symbols: 24 bytes of which most repeat
			for range 4 + m.low(80) {
				m.little(uint64(m.low(1<<14)), 4)
				m.little(0x0000000c_00000012, 8)
				m.little(uint64(0x401000+m.below(1<<18)), 4)
				m.little(uint64(m.low(4096)), 8)
			}
		default:
			m.code(300 + m.below(3000))
		}
		for len(m.out)%16 != 0 {
			m.out = append(m.out, 0)
		}
	}
	m.out = m.out[:end]
}

// code adds about n bytes of functions in machine language.
func (m *maker) code(n int) {
	end := len(m.out) + n
	for len(m.out) < end {
		m.add("\x55\x48\x89\xe5\x41\x54\x53")
		for range 4 + m.low(80) {
			switch m.below(8) {
			case 0, 1:
				m.out = append(m.out, 0x48, 0x8b, 0x45+byte(m.low(8))*8, byte(-8*m.low(16)))
			case 2:
				m.out = append(m.out, 0xe8)
				// relative to the place, as calls are: the same target differs
				m.little(uint64(m.low(400)*64-len(m.out)), 4)
			case 3:
				m.out = append(m.out, 0x0f, 0x84+byte(m.below(4)))
				m.little(uint64(m.low(2000)), 4)
			case 4:
				m.out = append(m.out, 0x89, 0xc0+byte(m.below(64)))
			case 5:
				m.out = append(m.out, 0xbf)
				m.little(uint64(m.low(1<<16)), 4)
			case 6:
				m.out = append(m.out, 0x48, 0x83, 0xc4, byte(8*m.low(10)))
			default:
				m.out = append(m.out, 0x85, 0xc0, 0x74, byte(m.low(120)))
			}
		}
		m.add("\x5b\x41\x5c\x5d\xc3")
		for len(m.out)%16 != 0 {
			m.out = append(m.out, 0x90)
		}
	}
}

// edges adds what lies at the limits of lengths, distances and tables.
func (m *maker) edges() {
	// runs about the longest match
	for _, n := range []int{1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 63, 64, 65, 129, 256, 257, 258, 259, 260, 261, 262, 263, 515, 516, 517, 518, 774, 1030} {
		m.run(byte(n), n)
		m.out = append(m.out, byte(m.next()>>40))
	}
	// short periods
	for period := 2; period < 12; period++ {
		from := len(m.out)
		m.noise(period)
		m.echo(from, 700)
	}
	// copies from far and near, some with one byte changed
	distances := []int{1, 3, 4, 7, 8, 255, 256, 257, 4094, 4095, 4096, 4097, 8191, 8192, 12288, 16384, 16385, 24576, 32505, 32506, 32507, 32511, 32766, 32767, 32768, 32769, 33000}
	for _, n := range []int{3, 4, 5, 6, 7, 8, 16, 17, 31, 32, 33, 66, 128, 130, 257, 258, 259, 300, 600} {
		for _, d := range distances {
			if d > len(m.out) {
				continue
			}
			at := len(m.out)
			m.echo(at-d, n)
			if m.below(3) == 0 {
				m.out[at+m.below(n)] ^= 0x20
			}
			m.noise(m.below(3))
		}
	}
	m.steep(20000)
	// more candidates with the same beginning than any chain is long
	from := len(m.out)
	m.noise(12)
	for i := range 2000 {
		at := len(m.out)
		m.echo(from, 4+i%8)
		m.out = append(m.out, byte(i), byte(i>>8))
		if i%50 == 49 {
			m.echo(at-m.below(2000), 40)
		}
	}
}

// echo adds n bytes again that stand at from; they may overlap what is added.
func (m *maker) echo(from, n int) {
	for i := range n {
		m.out = append(m.out, m.out[from+i])
	}
}

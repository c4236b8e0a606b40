package inputs

import "fmt"

// archive adds n bytes of a tar archive whose files have at most size bytes.
func (m *maker) archive(n, size int) {
	end := len(m.out) + n
	folder := "usr/lib/" + m.word()
	for len(m.out) < end {
		if m.below(6) == 0 {
			folder = m.pick("usr/lib/", "usr/share/", "etc/", "app/node_modules/") + m.word() + "/" + m.word()
			m.header(folder+"/", '5', 0)
		}
		size := m.low(size)
		kind := m.below(10)
		suffix := []string{".txt", ".go", ".json", ".so", "", "", ".png", ".bin", ".pyc", ""}[kind]
		m.header(folder+"/"+m.word()+suffix, '0', size)
		switch kind {
		case 0, 9:
			m.prose(size)
		case 1:
			m.source(size)
		case 2:
			m.json(size)
		case 3, 4, 8:
			m.machine(size)
		case 6:
			m.noise(size)
		case 5:
			// an older file again, with small changes
			size = min(size, len(m.out))
			at := len(m.out)
			m.echo(m.below(at-size+1), size)
			for range size / 500 {
				m.out[at+m.below(size)] = byte(m.next() >> 40)
			}
		default:
			m.records(size)
		}
		for len(m.out)%512 != 0 {
			m.out = append(m.out, 0)
		}
	}
	m.out = m.out[:end]
}

// records adds n bytes of numbers that grow, like a table of time zones.
func (m *maker) records(n int) {
	end := len(m.out) + n
	v := uint64(m.below(1 << 30))
	for len(m.out) < end {
		v += uint64(m.low(40000))
		m.out = append(m.out, byte(v>>24), byte(v>>16), byte(v>>8), byte(v), byte(m.low(6)))
	}
	m.out = m.out[:end]
}

// header adds a tar header.
func (m *maker) header(name string, kind byte, size int) {
	var h [512]byte
	copy(h[:100], name)
	copy(h[100:], "0000755\x000000000\x000000000\x00")
	copy(h[124:], fmt.Sprintf("%011o\x00%011o\x00        ", size, 1700000000+m.low(100000)))
	h[156] = kind
	copy(h[257:], "ustar\x0000root\x00")
	copy(h[297:], "root\x00")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	m.out = append(m.out, h[:]...)
}

/// Writes DER (X.690), as much of it as certificates and signatures need.
enum DER {
    static func element(_ tag: [UInt8], _ content: [UInt8]) -> [UInt8] {
        let size = content.count
        precondition(size <= 0xFFFF, "nothing here is longer")
        if size < 0x80 { return tag + [UInt8(size)] + content }
        if size < 0x100 { return tag + [0x81, UInt8(size)] + content }
        return tag + [0x82, UInt8(size >> 8), UInt8(size & 0xFF)] + content
    }

    static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] { element([tag], content) }

    static func sequence(_ parts: [UInt8]...) -> [UInt8] { element(0x30, Array(parts.joined())) }

    static func sequence(of parts: [[UInt8]]) -> [UInt8] { element(0x30, Array(parts.joined())) }

    static func set(_ part: [UInt8]) -> [UInt8] { element(0x31, part) }

    /// A context-specific, constructed tag: up to 30 in one octet, beyond that with two octets of number.
    static func tagged(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        if number < 31 { return element(0xA0 | UInt8(number), content) }
        precondition((128..<16384).contains(number), "two octets of number")
        return element([0xBF, 0x80 | UInt8(number >> 7), UInt8(number & 0x7F)], content)
    }

    /// An integer that is not negative, from its big-endian octets.
    static func integer(_ octets: some Collection<UInt8>) -> [UInt8] {
        var magnitude = Array(octets.drop { $0 == 0 })
        if magnitude.first.map({ $0 >= 0x80 }) ?? true { magnitude.insert(0, at: 0) }
        return element(0x02, magnitude)
    }

    static func integer(_ value: Int) -> [UInt8] { integer(withUnsafeBytes(of: value.bigEndian, Array.init)) }

    static func octets(_ content: [UInt8]) -> [UInt8] { element(0x04, content) }

    /// A bit string; `unused` bits at its end do not count.
    static func bits(_ content: [UInt8], unused: UInt8 = 0) -> [UInt8] { element(0x03, [unused] + content) }

    static func text(_ text: String) -> [UInt8] { element(0x0C, Array(text.utf8)) }

    static let yes: [UInt8] = [0x01, 0x01, 0xFF]

    /// An object identifier in dotted form.
    static func oid(_ dotted: String) -> [UInt8] {
        let arcs = dotted.split(separator: ".").compactMap { UInt($0) }
        let octets = ([arcs[0] * 40 + arcs[1]] + arcs.dropFirst(2)).flatMap { arc in
            var groups = [UInt8(arc & 0x7F)]
            var rest = arc >> 7
            while rest > 0 {
                groups.insert(0x80 | UInt8(rest & 0x7F), at: 0)
                rest >>= 7
            }
            return groups
        }
        return element(0x06, octets)
    }

    /// Seconds since 1970: UTCTime until 2049, GeneralizedTime from 2050 (RFC 5280 section 4.1.2.5).
    static func time(_ seconds: Int) -> [UInt8] {
        let (year, month, day) = date(seconds / 86400)
        let second = seconds % 86400
        let rest = [month, day, second / 3600, second / 60 % 60, second % 60].map { pair($0) }.joined() + "Z"
        return year < 2050
            ? element(0x17, Array((pair(year % 100) + rest).utf8)) : element(0x18, Array((String(year) + rest).utf8))
    }

    private static func pair(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }

    /// The date that is `days` after the first of January 1970, in the Gregorian calendar.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        var year = 1970
        var rest = days
        while rest >= (isLeap(year) ? 366 : 365) {
            rest -= isLeap(year) ? 366 : 365
            year += 1
        }
        let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        var month = 0
        while rest >= lengths[month] {
            rest -= lengths[month]
            month += 1
        }
        return (year, month + 1, rest + 1)
    }

    private static func isLeap(_ year: Int) -> Bool {
        year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
    }

    /// The signature of two numbers (RFC 3279 section 2.2.3) that `raw` holds side by side.
    static func signature(_ raw: [UInt8]) -> [UInt8] {
        sequence(integer(raw.prefix(raw.count / 2)), integer(raw.suffix(raw.count / 2)))
    }
}

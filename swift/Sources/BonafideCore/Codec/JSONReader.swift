/// Reads JSON strictly: one reading for each text, and bounds before work (RFC 8259, RFC 7493).
///
/// Foundation's reader takes a member name that stands twice and keeps one of the values; of what a signature
/// covers there must be one reading, so this is our own.
package struct JSONReader {
    /// Objects and arrays within each other, the outermost counted.
    static let maxDepth = 16
    /// The largest magnitude of an integer that every reader keeps exactly (RFC 7493 section 2.2).
    static let maxInteger = 1 << 53 - 1

    private let octets: [UInt8]
    private var position = 0

    /// Returns the object that `octets` hold, or nil: not one object of valid UTF-8 with nothing after it, a name
    /// that stands twice, deeper than `maxDepth`, longer than `maxOctets`, an integer beyond `maxInteger`.
    package static func object(_ octets: some Sequence<UInt8>, maxOctets: Int = 65536) -> JSON? {
        var reader = JSONReader(octets: Array(octets))
        guard reader.octets.count <= maxOctets, String(validating: reader.octets) != nil else { return nil }
        reader.skipSpace()
        guard reader.next == UInt8(ascii: "{"), let value = reader.value(depth: 1) else { return nil }
        reader.skipSpace()
        return reader.next == nil ? value : nil
    }

    private init(octets: [UInt8]) { self.octets = octets }

    private var next: UInt8? { position < octets.count ? octets[position] : nil }

    private mutating func skipSpace() {
        while let octet = next, octet == 0x20 || octet == 0x0A || octet == 0x0D || octet == 0x09 { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        let matches = word.withUTF8Buffer { octets.dropFirst(position).prefix(length).elementsEqual($0) }
        if matches { position += length }
        return matches
    }

    private mutating func value(depth: Int) -> JSON? {
        skipSpace()
        switch next {
        case UInt8(ascii: "{"): return depth <= Self.maxDepth ? object(depth: depth) : nil
        case UInt8(ascii: "["): return depth <= Self.maxDepth ? array(depth: depth) : nil
        case UInt8(ascii: "\""): return string().map(JSON.string)
        case UInt8(ascii: "t"): return take(word: "true") ? .bool(true) : nil
        case UInt8(ascii: "f"): return take(word: "false") ? .bool(false) : nil
        case UInt8(ascii: "n"): return take(word: "null") ? .null : nil
        default: return number()
        }
    }

    private mutating func object(depth: Int) -> JSON? {
        guard take("{") else { return nil }
        var members: [JSON.Member] = []
        var names: Set<[UInt8]> = []  // octets, since equal strings of Swift may differ in their scalars
        skipSpace()
        if take("}") { return .object([]) }
        repeat {
            skipSpace()
            guard let name = string(), names.insert(Array(name.utf8)).inserted else { return nil }
            skipSpace()
            guard take(":"), let value = value(depth: depth + 1) else { return nil }
            members.append(.init(name, value))
            skipSpace()
        } while take(",")
        return take("}") ? .object(members) : nil
    }

    private mutating func array(depth: Int) -> JSON? {
        guard take("[") else { return nil }
        var elements: [JSON] = []
        skipSpace()
        if take("]") { return .array([]) }
        repeat {
            guard let value = value(depth: depth + 1) else { return nil }
            elements.append(value)
            skipSpace()
        } while take(",")
        return take("]") ? .array(elements) : nil
    }

    private mutating func string() -> String? {
        guard take("\"") else { return nil }
        var text: [UInt8] = []
        while let octet = next, octet >= 0x20 {
            position += 1
            switch octet {
            case UInt8(ascii: "\""): return String(validating: text)
            case UInt8(ascii: "\\"):
                guard let escaped = escape() else { return nil }
                text += escaped
            default: text.append(octet)
            }
        }
        return nil
    }

    private mutating func escape() -> [UInt8]? {
        guard let octet = next else { return nil }
        position += 1
        switch octet {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [octet]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "u"): return unicodeEscape()
        default: return nil
        }
    }

    private mutating func unicodeEscape() -> [UInt8]? {
        guard var code = hexadecimal() else { return nil }
        if (0xD800..<0xDC00).contains(code) {
            guard take("\\"), take("u"), let low = hexadecimal(), (0xDC00..<0xE000).contains(low) else { return nil }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        return Unicode.Scalar(code).map { Array(String(Character($0)).utf8) }
    }

    private mutating func hexadecimal() -> UInt32? {
        let digits = octets.dropFirst(position).prefix(4)
        guard digits.count == 4, digits.allSatisfy(isHexadecimal) else { return nil }
        position += 4
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private func isHexadecimal(_ octet: UInt8) -> Bool {
        isDigit(octet) || (0x41...0x46).contains(octet) || (0x61...0x66).contains(octet)
    }

    private func isDigit(_ octet: UInt8) -> Bool { (0x30...0x39).contains(octet) }

    private mutating func number() -> JSON? {
        let start = position
        _ = take("-")
        guard let first = next, isDigit(first) else { return nil }
        if take("0") {} else { skipDigits() }
        let isInteger = next != UInt8(ascii: ".") && next != UInt8(ascii: "e") && next != UInt8(ascii: "E")
        if take(".") {
            guard let digit = next, isDigit(digit) else { return nil }
            skipDigits()
        }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard let digit = next, isDigit(digit) else { return nil }
            skipDigits()
        }
        let literal = String(decoding: octets[start..<position], as: UTF8.self)
        if isInteger {
            guard let value = Int(literal), (-Self.maxInteger...Self.maxInteger).contains(value) else { return nil }
            return .integer(value)
        }
        guard let value = Double(literal), value.isFinite else { return nil }
        return .number(value)
    }

    private mutating func skipDigits() {
        while let octet = next, isDigit(octet) { position += 1 }
    }
}

extension String {
    /// The text that `octets` are in UTF-8, or nil where they are not.
    init?(validating octets: some Sequence<UInt8>) {
        var decoder = UTF8()
        var iterator = octets.makeIterator()
        var scalars = String.UnicodeScalarView()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): scalars.append(scalar)
            case .emptyInput:
                self.init(scalars)
                return
            case .error: return nil
            }
        }
    }
}

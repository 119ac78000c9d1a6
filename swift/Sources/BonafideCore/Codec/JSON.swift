/// A JSON value. Members of an object keep their order, so that what is written is one text.
public indirect enum JSON: Hashable, Sendable {
    case object([Member])
    case array([JSON])
    case string(String)
    case integer(Int)
    case number(Double)
    case bool(Bool)
    case null

    /// A name and its value.
    public struct Member: Hashable, Sendable {
        public var name: String
        public var value: JSON

        public init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }
}

extension JSON: ExpressibleByDictionaryLiteral, ExpressibleByArrayLiteral, ExpressibleByStringLiteral,
    ExpressibleByIntegerLiteral
{
    public init(dictionaryLiteral members: (String, JSON)...) {
        self = .object(members.map { Member($0.0, $0.1) })
    }

    public init(arrayLiteral elements: JSON...) { self = .array(elements) }

    public init(stringLiteral text: String) { self = .string(text) }

    public init(integerLiteral value: Int) { self = .integer(value) }
}

extension JSON {
    /// Reads an object strictly: nil for anything but one object of valid UTF-8 with nothing after it, for a name that
    /// stands twice, more than 16 levels or 64 KiB, and an integer beyond 2^53 - 1.
    public init?(octets: [UInt8]) {
        guard let object = JSONReader.object(octets) else { return nil }
        self = object
    }

    /// The value of a member; nil where this is no object or has no such member.
    public subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.name == name }?.value
    }

    /// The text, where this is one.
    public var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The integer, where this is one. `true` is not 1.
    public var integer: Int? {
        guard case .integer(let value) = self else { return nil }
        return value
    }

    /// The number of seconds or the like: an integer or a fraction.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The elements, where this is an array.
    public var elements: [JSON]? {
        guard case .array(let elements) = self else { return nil }
        return elements
    }

    /// The names of an object's members; nil where this is none.
    public var names: Set<String>? {
        guard case .object(let members) = self else { return nil }
        return Set(members.map(\.name))
    }

    /// Compact UTF-8 (RFC 8259), members in their order: the octets that Python's side writes for the same value.
    public var octets: [UInt8] {
        var octets: [UInt8] = []
        write(to: &octets)
        return octets
    }

    private func write(to octets: inout [UInt8]) {
        switch self {
        case .object(let members):
            JSON.write(members, between: "{", and: "}", to: &octets) { member, octets in
                JSON.write(member.name, to: &octets)
                octets.append(UInt8(ascii: ":"))
                member.value.write(to: &octets)
            }
        case .array(let elements):
            JSON.write(elements, between: "[", and: "]", to: &octets) { $0.write(to: &$1) }
        case .string(let text): JSON.write(text, to: &octets)
        case .integer(let value): octets += String(value).utf8
        case .number(let value): octets += (value.isFinite ? String(value) : "null").utf8
        case .bool(let value): octets += (value ? "true" : "false").utf8
        case .null: octets += "null".utf8
        }
    }

    private static func write<Element>(
        _ elements: [Element], between opening: Unicode.Scalar, and closing: Unicode.Scalar, to octets: inout [UInt8],
        each: (Element, inout [UInt8]) -> Void
    ) {
        octets.append(UInt8(ascii: opening))
        for (index, element) in elements.enumerated() {
            if index > 0 { octets.append(UInt8(ascii: ",")) }
            each(element, &octets)
        }
        octets.append(UInt8(ascii: closing))
    }

    private static func write(_ text: String, to octets: inout [UInt8]) {
        octets.append(UInt8(ascii: "\""))
        for octet in text.utf8 {
            if let short = shortEscapes[octet] {
                octets += [UInt8(ascii: "\\"), short]
            } else if octet < 0x20 {
                octets += (octet < 0x10 ? "\\u000" : "\\u00").utf8
                octets += String(octet, radix: 16).utf8
            } else {
                octets.append(octet)
            }
        }
        octets.append(UInt8(ascii: "\""))
    }

    private static let shortEscapes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"), 0x08: UInt8(ascii: "b"),
        0x09: UInt8(ascii: "t"), 0x0A: UInt8(ascii: "n"), 0x0C: UInt8(ascii: "f"), 0x0D: UInt8(ascii: "r"),
    ]
}

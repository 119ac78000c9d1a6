/// A request target in the one spelling that is admitted (PROTOCOL section 4, "Target").
public struct Target: Hashable, Sendable {
    static let maxOctets = 8 * 1024

    /// The path, canonical.
    public let path: String
    /// The query without `?`; nil where there is none.
    public let query: String?

    /// Path and query as they stand in the request line.
    public var text: String { query.map { "\(path)?\($0)" } ?? path }

    /// The component `@query` (RFC 9421 section 2.2.7).
    var queryComponent: String { "?" + (query ?? "") }

    /// Takes a target that is canonical as it stands; nil for any other.
    public init?(canonical text: String) {
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, text.utf8.count <= Self.maxOctets, Self.isCanonical(path: path.utf8) else {
            return nil
        }
        if let query = parts.dropFirst().first {
            guard !query.isEmpty, query.utf8.allSatisfy(Self.isQuery) else { return nil }
            self.query = String(query)
        } else {
            query = nil
        }
        self.path = String(path)
    }

    /// Spells the percent-encoded path and query of a URL canonically.
    ///
    /// An octet that may stand literally is decoded, every other is encoded in upper case; an empty path becomes `/`
    /// and an empty query none. Throws `BonafideError.targetNotCanonical` for a URL that has no admitted spelling: an
    /// encoded `/`, a `;`, `\`, `%` or control in the path, a doubled slash, a dot segment, a query with `#`.
    public init(percentEncodedPath path: String, query: String?) throws {
        var spelt: [UInt8] = []
        var rest = Array(path.utf8)[...]
        while let octet = rest.popFirst() {
            if octet == UInt8(ascii: "%"), let decoded = Self.hexadecimal(rest.prefix(2)) {
                rest = rest.dropFirst(2)
                if decoded != UInt8(ascii: "/"), Self.isLiteral(decoded) {
                    spelt.append(decoded)
                } else {
                    spelt += Self.escaped(decoded)
                }
            } else if octet == UInt8(ascii: "/") || Self.isLiteral(octet) {
                spelt.append(octet)
            } else {
                spelt += Self.escaped(octet)
            }
        }
        let text = (spelt.isEmpty ? "/" : String(decoding: spelt, as: UTF8.self))
        let suffix = query.flatMap { $0.isEmpty ? nil : "?\($0)" } ?? ""
        guard let target = Target(canonical: text + suffix) else {
            throw BonafideError.targetNotCanonical(path)
        }
        self = target
    }

    private static func isCanonical(path: Substring.UTF8View) -> Bool {
        guard path.first == UInt8(ascii: "/") else { return false }
        let segments = path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return segments.dropLast().allSatisfy { !$0.isEmpty && isCanonical(segment: $0) }
            && segments.last.map { isCanonical(segment: $0) } == true
    }

    private static func isCanonical(segment: Substring.UTF8View.SubSequence) -> Bool {
        if segment.elementsEqual(".".utf8) || segment.elementsEqual("..".utf8) { return false }
        var rest = segment
        while let octet = rest.popFirst() {
            if octet == UInt8(ascii: "%") {
                guard let decoded = hexadecimal(Array(rest.prefix(2))[...]), isEncoded(decoded),
                    rest.prefix(2).elementsEqual(escaped(decoded).dropFirst())
                else { return false }
                rest = rest.dropFirst(2)
            } else if !isLiteral(octet) {
                return false
            }
        }
        return true
    }

    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> UInt8? {
        guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }) else {
            return nil
        }
        return UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
    }

    private static func escaped(_ octet: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(octet >> 4)], digits[Int(octet & 15)]]
    }

    /// Octets that stand as they are in a segment: unreserved, `:` `@` and sub-delims but `;` (RFC 3986).
    private static func isLiteral(_ octet: UInt8) -> Bool { literal[Int(octet)] }
    private static let literal: [Bool] = {
        let characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:@!$&'()*+,="
        let octets = Set(characters.utf8)
        return (0...255).map { octets.contains($0) }
    }()

    /// Octets that have an admitted escape: all others but controls and `/` `\` `%` `;`.
    private static func isEncoded(_ octet: UInt8) -> Bool {
        octet >= 0x20 && octet != 0x7F && !isLiteral(octet) && !"/\\%;".utf8.contains(octet)
    }

    /// Visible ASCII but `#`.
    private static func isQuery(_ octet: UInt8) -> Bool {
        (0x21...0x7E).contains(octet) && octet != UInt8(ascii: "#")
    }
}

/// Writes CBOR (RFC 8949), as much of it as App Attest's objects need: definite lengths, shortest heads.
enum CBOR {
    static func integer(_ value: Int) -> [UInt8] { value < 0 ? head(1, -1 - value) : head(0, value) }

    static func octets(_ content: [UInt8]) -> [UInt8] { head(2, content.count) + content }

    static func text(_ text: String) -> [UInt8] { head(3, text.utf8.count) + text.utf8 }

    static func array(_ elements: [UInt8]...) -> [UInt8] { head(4, elements.count) + elements.joined() }

    /// A map, its members in the order in which they are given: Apple's are not sorted.
    static func map(_ members: (key: [UInt8], value: [UInt8])...) -> [UInt8] {
        head(5, members.count) + members.flatMap { $0.key + $0.value }
    }

    private static func head(_ type: UInt8, _ value: Int) -> [UInt8] {
        if value < 24 { return [type << 5 | UInt8(value)] }
        if value < 0x100 { return [type << 5 | 24, UInt8(value)] }
        precondition(value < 0x10000, "nothing here is longer")
        return [type << 5 | 25, UInt8(value >> 8), UInt8(value & 0xFF)]
    }
}

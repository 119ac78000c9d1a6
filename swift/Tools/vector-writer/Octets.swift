import BonafideCore
import BonafideTestSupport

extension JSON {
    /// Octets in base64 with padding.
    static func octets(_ octets: [UInt8]) -> JSON { .string(Base64.encoded(octets)) }
}

extension Evidence {
    /// The octets under `name` of the element that goes over the wire.
    func octets(_ name: String) -> [UInt8] { json?[name]?.text.flatMap { Base64.urlDecoded($0) } ?? [] }
}

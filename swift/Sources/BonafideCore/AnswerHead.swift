/// Status and fields of an answer. Nothing in it is believed beyond the bounds that `Action` has.
public struct AnswerHead: Sendable {
    public let status: Int
    private let fields: [String: String]
    /// Whether status and fields are those of a sealed answer that verified whole, and not what came over the wire.
    package let isSealed: Bool

    /// Field names are taken in any case.
    public init(status: Int, fields: [String: String]) {
        self.status = status
        self.fields = Dictionary(fields.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
        isSealed = false
    }

    /// Status and inner fields of a sealed answer; a field that stands more than once is joined by commas.
    init(openedWith status: Int, fields: [(name: String, value: String)]) {
        self.status = status
        self.fields = Dictionary(fields.map { ($0.name, $0.value) }) { "\($0), \($1)" }
        isSealed = true
    }

    /// Whether the answer says of itself that it is sealed. Anybody on the way can write that, or take it away.
    public var saysSealed: Bool { self["content-type"] == SealedForm.contentType }

    /// The value of a field, its name in lower case.
    public subscript(name: String) -> String? { fields[name] }

    /// What a refusal asks for; nil where the answer is none, or names nothing that is known.
    public var action: Action? { status >= 400 ? self["bonafide-action"].flatMap(Action.init) : nil }

    /// The number under which the operator finds why.
    public var record: String? {
        self["bonafide-record"].flatMap { record in
            record.utf8.count <= 64 && record.utf8.allSatisfy { (0x21...0x7E).contains($0) } ? record : nil
        }
    }

    /// The wait that a refusal asks for in seconds: at least 1, at most a minute; a date counts as a second.
    var retryAfter: Double {
        let text = self["retry-after"] ?? ""
        guard (1...6).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return 1 }
        return min(max(Double(text) ?? 1, 1), 60)
    }
}

/// Status and fields of an answer. Nothing in it is believed beyond the bounds that `Action` has.
public struct AnswerHead: Sendable {
    public let status: Int
    private let fields: [String: String]

    /// Field names are taken in any case.
    public init(status: Int, fields: [String: String]) {
        self.status = status
        self.fields = Dictionary(fields.map { ($0.key.lowercased(), $0.value) }) { first, _ in first }
    }

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

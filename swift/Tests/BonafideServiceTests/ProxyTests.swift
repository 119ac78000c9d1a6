import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Attacks by a real mitmproxy, through which a phone talks to the real API: each ends in the error that says which way
/// the answer was not the API's. The same phone then asks the same through the same proxy, untouched, and is answered.
@Suite(.serialized, .enabled(if: RunningService.hasProxy, "make setup-mitmproxy makes the proxy's environment"))
struct ProxyTests {
    private static let service = Result { try RunningService("--proxy") }
    private let service: RunningService
    private let proxy: Interceptor

    private static let wallet = "/api/wallet"
    private static let statement = "/api/statement"
    /// Of a sealed answer: before its first record, and each record but the last.
    private static let header = 37
    private static let record = 65536
    private static let forged = #"{"cards": [{"code": "GIFT-0000000000000000", "value": 1}]}"#

    init() throws {
        service = try Self.service.get()
        proxy = Interceptor(service: service)
    }

    // What passes

    @Test func theProxySeesNeitherWhatIsSealedNorTheKeyToIt() async throws {
        _ = try proxy.passed()
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        let (data, _) = try await phone.bonafide.data(
            for: phone.request(Self.wallet, bearer: bearer), answer: .sealed)
        let code = try #require(JSON(octets: [UInt8](data))?["cards"]?.elements?.first?["code"]?.text)
        let record = try #require(phone.storage.record.flatMap { JSON(octets: $0) })
        let encoded = try #require(record["enrolment"]?["enrolled"]?["session_key"]?.text)
        let key = Data(try #require(Base64.urlDecoded(encoded)))
        #expect(code.hasPrefix("GIFT-") && key.count == 32)

        let passed = try proxy.passed()
        let everything = passed.reduce(into: Data()) { $0 += Data(($1.request + $1.fields).utf8) + $1.body }
        for secret in Self.spellings(of: key) + [Data(code.utf8)] { #expect(everything.range(of: secret) == nil) }
        // What is in clear is found in the same way, of the enrolment too.
        #expect(everything.range(of: Data(bearer.utf8)) != nil)
        #expect(passed.contains { $0.path.hasSuffix("/instances") && $0.status == 201 })
        #expect(passed.last { $0.path == Self.wallet }?.fields.contains("application/bonafide-sealed") == true)
    }

    @Test func whatPassedOpensForTheQuestionAloneThatItAnswers() async throws {
        let (phone, other) = (Phone(service), Phone(service))
        var request = phone.request(Self.wallet, bearer: try await phone.logIn())
        var (later, others) = (request, request)
        let opener = try await phone.bonafide.signForSealedAnswer(&request)
        _ = try await URLSession.shared.data(for: request)
        let passed = try #require(try proxy.passed().last { $0.path == Self.wallet })
        let answer = try #require(
            HTTPURLResponse(
                url: URL(fileURLWithPath: "/"), statusCode: passed.status, httpVersion: nil,
                headerFields: ["Content-Type": "application/bonafide-sealed"]))
        let refusals = [
            (try await phone.bonafide.signForSealedAnswer(&later), "sealed.record_invalid"),
            (try await other.bonafide.signForSealedAnswer(&others), "sealed.session_mismatch"),
        ]
        for (opener, code) in refusals {
            #expect(throws: BonafideError.sealRefused(code)) { try opener.open(Data(passed.body), answer) }
        }
        let (opened, _) = try opener.open(Data(passed.body), answer)
        #expect(String(decoding: opened, as: UTF8.self).contains("GIFT-"))
    }

    /// The forms in which a key could pass.
    private static func spellings(of key: Data) -> [Data] {
        let base64 = key.base64EncodedString().replacingOccurrences(of: "=", with: "")
        let url = base64.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
        let hexadecimal = key.map { String(format: "%02x", $0) }.joined()
        return [key] + [base64, url, hexadecimal].map { Data($0.utf8) }
    }

    // Answers in clear

    @Test func anAnswerInClearInTheAPIsPlaceIsNotHandedOut() async throws {
        let order = Interceptor.clear(Self.wallet, Self.forged, status: 200)
        try await refused(order, .answerNotSealed(status: 200, action: nil, record: nil))
    }

    @Test func anErrorInClearInTheAPIsPlaceSaysWhatItIs() async throws {
        let order = Interceptor.clear(Self.wallet, "{}", status: 403, action: "give_up")
        try await refused(order, .answerNotSealed(status: 403, action: .giveUp, record: nil))
    }

    @Test func aSealedAnswerThatIsCalledSomethingElseIsNoSealedOne() async throws {
        let order: JSON = [
            "do": "change_content_type", "path": .string(Self.wallet), "content_type": "application/octet-stream",
        ]
        try await refused(order, .answerNotSealed(status: 200, action: nil, record: nil))
    }

    @Test func aRequestThatIsLedToARouteInClearIsRefusedThere() async throws {
        let phone = Phone(service)
        let request = phone.request(Self.wallet, bearer: try await phone.logIn())
        _ = try service.reasons()
        let order: JSON = ["do": "lead_elsewhere", "path": .string(Self.wallet), "to": "/api/me"]
        do {
            _ = try await proxy.doing(order) { try await phone.bonafide.data(for: request, answer: .sealed) }
            Issue.record("the proof of one route was taken for another")
        } catch BonafideError.answerNotSealed(let status, _, let record) {
            #expect(status == 401)
            #expect(record != nil)
        }
        #expect(try service.reasons().last == "proof.signature_invalid")
        try await isAnswered(phone, request)
    }

    // Other answers

    @Test func anAnswerThatWasSealedForAnotherPhoneIsRefused() async throws {
        let other = Phone(service)
        let request = other.request(Self.wallet, bearer: try await other.logIn(as: "grace"))
        let answer = try await proxy.recorded(Self.wallet) { try await isAnswered(other, request) }
        try await refused(answer.again(), .sealRefused("sealed.session_mismatch"))
    }

    @Test func theSameQuestionsAnswerFromBeforeIsRefused() async throws {
        try await refusedFromBefore(Self.wallet)
    }

    @Test func anotherQuestionsAnswerIsRefused() async throws {
        try await refusedFromBefore(Self.statement)
    }

    @Test func anotherStatusThanTheOneThatWasSealedIsRefused() async throws {
        let order: JSON = ["do": "change_status", "path": .string(Self.wallet), "status": 404]
        try await refused(order, .sealRefused("sealed.record_invalid"))
    }

    @Test func whoeverForcesAnotherProofHasNoAnswerToIt() async throws {
        let phone = Phone(service)
        let request = phone.request(Self.wallet, bearer: try await phone.logIn())
        let first = try await proxy.recorded(Self.wallet) { try await isAnswered(phone, request) }
        await #expect(throws: BonafideError.sealRefused("sealed.record_invalid")) {
            try await proxy.doing(first.again("sign_again_then")) {
                try await phone.bonafide.data(for: request, answer: .sealed)
            }
        }
        let proofs = try proxy.passed().filter { $0.path == Self.wallet }
        #expect(proofs.count == 2, "it was asked for another proof, and gave it")
        #expect(proofs.first?.request.contains("hmac-sha256") == true)
        #expect(proofs.last?.request.contains("hmac-sha256") == false)
        try await isAnswered(phone, request)
    }

    @Test func aCookieOutsideTheSealIsNotKept() async throws {
        let cookies = HTTPCookieStorage.sharedCookieStorage(forGroupContainerIdentifier: "proxy-\(UUID().uuidString)")
        let phone = Phone(service) { $0.cookies = cookies }
        let bearer = try await phone.logIn()
        func order(_ path: String) -> JSON {
            ["do": "add_fields", "path": .string(path), "headers": ["set-cookie": "session=theirs; Path=/"]]
        }
        let (data, response) = try await proxy.doing(order(Self.wallet)) {
            try await phone.bonafide.data(for: phone.request(Self.wallet, bearer: bearer), answer: .sealed)
        }
        #expect(String(decoding: data, as: UTF8.self).contains("GIFT-"))
        #expect(response.value(forHTTPHeaderField: "Set-Cookie") == nil)
        #expect(cookies.cookies?.isEmpty ?? true)
        // The proxy did it: an answer in clear has no defence against that.
        let clear = try await proxy.doing(order("/api/config")) { try await phone.get("/api/config") }
        #expect(clear.status == 200)
        #expect(cookies.cookies?.map(\.value) == ["theirs"])
    }

    // Parts of answers

    @Test(arguments: [(0, "sealed.truncated"), (1000, "sealed.record_invalid")])
    func anAnswerThatEndsEarlyIsRefused(more: Int, code: String) async throws {
        try await refused(cut(more), .sealRefused(code), path: Self.statement)
    }

    @Test func recordsInAnotherOrderAreRefused() async throws {
        let order: JSON = [
            "do": "swap_records", "path": .string(Self.statement), "begin": .integer(Self.header),
            "size": .integer(Self.record),
        ]
        try await refused(order, .sealRefused("sealed.record_invalid"), path: Self.statement)
    }

    @Test(arguments: [(0, "sealed.truncated"), (1000, "sealed.record_invalid")])
    func ofAnAnswerThatEndsEarlyNoFileAppears(more: Int, code: String) async throws {
        let phone = Phone(service)
        let request = phone.request(Self.statement, bearer: try await phone.logIn(as: "alan"))
        let before = try filesOfAlan()  // a run that was broken off may have left some
        await #expect(throws: BonafideError.sealRefused(code)) {
            try await proxy.doing(cut(more)) { try await phone.bonafide.download(for: request, answer: .sealed) }
        }
        #expect(try filesOfAlan() == before)
        let (file, _) = try await phone.bonafide.download(for: request, answer: .sealed)
        #expect(try filesOfAlan() == before.union([file.lastPathComponent]))
        try FileManager.default.removeItem(at: file)
    }

    /// Has a phone ask for `path` while the proxy does `order`, which ends in `error`; untouched it is answered.
    private func refused(_ order: JSON, _ error: BonafideError, path: String = wallet) async throws {
        let phone = Phone(service)
        let request = phone.request(path, bearer: try await phone.logIn())
        await #expect(throws: error) {
            try await proxy.doing(order) { try await phone.bonafide.data(for: request, answer: .sealed) }
        }
        try await isAnswered(phone, request)
    }

    /// Has the proxy answer a phone that asks for its wallet with what the API answered when it asked for `path`.
    private func refusedFromBefore(_ path: String) async throws {
        let phone = Phone(service)
        let bearer = try await phone.logIn()
        let request = phone.request(Self.wallet, bearer: bearer)
        let before = try await proxy.recorded(path) { try await isAnswered(phone, phone.request(path, bearer: bearer)) }
        guard case .object(let members) = before.again() else { return }
        let order = JSON.object(members.filter { $0.name != "path" } + [.init("path", .string(Self.wallet))])
        await #expect(throws: BonafideError.sealRefused("sealed.record_invalid")) {
            try await proxy.doing(order) { try await phone.bonafide.data(for: request, answer: .sealed) }
        }
        try await isAnswered(phone, request)
    }

    private func isAnswered(_ phone: Phone, _ request: URLRequest) async throws {
        let (data, response) = try await phone.bonafide.data(for: request, answer: .sealed)
        #expect(response.statusCode == 200)
        #expect(!data.isEmpty)
    }

    private func cut(_ more: Int) -> JSON {
        ["do": "cut", "path": .string(Self.statement), "octets": .integer(Self.header + Self.record + more)]
    }

    /// The temporary files that hold anything of Alan's statement. Nobody else's tests ask for it.
    private func filesOfAlan() throws -> Set<String> {
        let directory = FileManager.default.temporaryDirectory
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { name in
            guard name.hasPrefix("bonafide-"),
                let octets = try? Data(contentsOf: directory.appendingPathComponent(name))
            else { return false }
            return octets.range(of: Data("of alan,".utf8)) != nil
        }
        return Set(names)
    }
}

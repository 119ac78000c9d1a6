import Bonafide
import BonafideCore
import BonafideTestSupport
import Foundation
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Answers that the real example API seals, by Python, on routes that say so.
@Suite(.serialized, .enabled(if: RunningService.isPossible, "make setup makes the Python that the service runs in"))
struct SealedServiceTests {
    private static let service = Result { try RunningService() }
    private let service: RunningService

    init() throws { service = try Self.service.get() }

    @Test(arguments: [ProofKind.session, .hardware]) func aWalletIsReadByTheAppAlone(proof: ProofKind) async throws {
        let phone = Phone(service)
        let request = phone.request("/api/wallet", bearer: try await phone.logIn())
        let (data, response) = try await phone.bonafide.data(for: request, proof: proof, answer: .sealed)
        #expect(response.statusCode == 200)
        #expect(response.mimeType == "application/json")
        #expect(response.expectedContentLength == Int64(data.count))
        let card = JSON(octets: [UInt8](data))?["cards"]?.elements?.first
        #expect(card?["code"]?.text?.hasPrefix("GIFT-") == true)
        await #expect(throws: BonafideError.answerRefused("sealed.unexpected")) {
            try await phone.bonafide.data(for: request, proof: proof)
        }
        #expect(phone.network.sent == ["challenge", "instances"])
    }

    @Test func aStreamIsDownloadedRecordByRecord() async throws {
        let phone = Phone(service)
        let request = phone.request("/api/statement", bearer: try await phone.logIn())
        let (file, response) = try await phone.bonafide.download(for: request, answer: .sealed)
        defer { try? FileManager.default.removeItem(at: file) }
        #expect(response.mimeType == "text/csv")
        let text = try String(contentsOf: file, encoding: .utf8)
        #expect(text.utf8.count > 3 * 65536)
        #expect(text.components(separatedBy: "\r\n").count == 8002)
        #expect(text.hasPrefix("date,item,price\r\n2026-01,item 0 of ada,"))
    }

    @Test func whatTheAPIRefusesItselfIsSealedToo() async throws {
        let phone = Phone(service)
        let (data, response) = try await phone.bonafide.data(for: phone.request("/api/wallet"), answer: .sealed)
        #expect(response.statusCode == 401)
        #expect(JSON(octets: [UInt8](data))?["error"]?.text == "log in first")
        let (_, wrong) = try await phone.bonafide.data(
            for: phone.request("/api/wallet", bearer: "stolen"), answer: .sealed)
        #expect(wrong.statusCode == 401)
    }

    @Test func aRouteThatDoesNotSealGivesNoBody() async throws {
        let phone = Phone(service)
        await #expect(throws: BonafideError.answerNotSealed(status: 200, action: nil, record: nil)) {
            try await phone.bonafide.data(for: phone.request("/api/config"), answer: .sealed)
        }
    }

    @Test func aRefusalBeforeAdmissionBringsItsActionAndItsRecord() async throws {
        let phone = Phone(service)
        #expect(try await phone.get("/api/config").status == 200)
        let instance = try #require(try service.instances().last?["instance"]?.text)
        try service.tell("ban", ["instance": instance])
        do {
            _ = try await phone.bonafide.data(for: phone.request("/api/wallet"), answer: .sealed)
            Issue.record("a banned phone was answered")
        } catch BonafideError.answerNotSealed(let status, let action, let record) {
            #expect(status == 403)
            #expect(action == .giveUp)
            #expect(record != nil)
        }
    }
}

import Foundation
import MartletTestKit
import MartletTestSupport
import MartletWire
import Testing

@testable import Martlet

@Suite(.leakChecked) struct SecretTests {
    private struct Account: Codable, Sendable {
        var name = "joe"
        var password = Secret("open sesame")
    }

    @Test func `Nothing that prints or looks shows it`() {
        let account = Account()
        var dumped = ""
        dump(account, to: &dumped)
        let seen = ["\(account)", String(reflecting: account), dumped, "\(account.password)", "\([account.password])"]
        for text in seen { #expect(!text.contains("sesame")) }
        #expect("\(account.password)" == "‹secret›")
        #expect("\(SudoConnector(password: account.password))".contains("sesame") == false)
    }

    @Test func `It travels in frames, and in nothing else`() throws {
        #expect(throws: EncodingError.self) { try JSONEncoder().encode(Account()) }
        #expect(throws: EncodingError.self) { try PropertyListEncoder().encode(Account()) }
        let bytes = try CBOREncoder().encode(Account())
        let back = try CBORDecoder().decode(Account.self, from: bytes)
        #expect(back.password == Secret("open sesame"))
        #expect(back.password != Secret("open sesamE"))
        #expect(back.password != Secret("open"))
    }

    @Test func `It goes to tasks and comes back`() async throws {
        try await withLocalContext { _, context async throws in
            #expect(try await context.call(Echo(value: Secret("pw"))) == Secret("pw"))
        }
    }

    @Test func `A file gives its first line, if it is its owner's alone`() async throws {
        try await TestFolder.with { folder in
            let path = folder.file("secret")
            try "pw joe\r\nmore\n".write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            let open = try await expectError(.misuse) { try Secret(contentsOfFile: path) }
            #expect(open.advice == "chmod 600 \(path)")
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            #expect(try Secret(contentsOfFile: path) == Secret("pw joe"))
            try await expectError(.misuse) { try Secret(contentsOfFile: path + "x") }
        }
    }

    @Test func `An askpass program answers, or declines`() async throws {
        // Its programs are guarded as all others, within a scope.
        try await withLocalContext { _, _ in try await askpass() }
    }

    private func askpass() async throws {
        try await TestFolder.with { folder in
            let prompt = Prompt(text: "Password:", lines: [], kind: .password, isHidden: true, route: Route())
            func script(_ text: String) throws -> AskpassResponder {
                let path = folder.file("askpass")
                try "#!/bin/sh\n\(text)\n".write(toFile: path, atomically: true, encoding: .utf8)
                try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
                return AskpassResponder(path)
            }
            #expect(try await script("echo \"got $1\"; echo more").answer(prompt) == Secret("got Password:"))
            #expect(try await script("echo no; exit 1").answer(prompt) == nil)
            #expect(try await script("head -c 100000 /dev/zero").answer(prompt)?.isEmpty == false)
            await #expect(throws: (any Error).self) { try await AskpassResponder("no-such-program").answer(prompt) }
            let slow = try script("sleep 86400")
            let task = Task { try await slow.answer(prompt) }
            await eventually { ProcessTable.all().contains { $0.name == "askpass" } }
            task.cancel()
            #expect(try await task.value == nil)
        }
    }
}

import Martlet
import MartletOperations
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct SudoTests {
    private func joe(_ root: Context) async throws -> Context {
        var options = LocalOptions()
        options.user = "joe"
        return try await root.connect(.local(options))
    }

    @Test func `As any user, with directory, variables and odd names, over one connection each`() async throws {
        try await withAccountMachine(staticAgent) { martlet, root, machine in
            let joe = try await joe(root)
            try await withOperations(on: martlet, .host(joe), .quiet, .sudoPassword(Secret("pw joe"))) {
                #expect(try await remoteSudo("id -un").lines == ["root"])
                #expect(try await remoteSudo("id -un", user: "ann").lines == ["ann"])
                #expect(try await remoteSudo("id -un; id -gn", user: "ann", group: "nop").lines == ["ann", "nop"])
                #expect(try await remoteSudo(["id", "-un"]).lines == ["root"])
                #expect(try await remote("id -un").lines == ["joe"])
                #expect(try await remoteSudo("echo $PPID").output == remoteSudo("echo $PPID").output)
                // Directory, variables and prefix with sudo.
                try await remoteSudo("install -d -m 700 '/root/a b'; echo deep >'/root/a b/it'\\''s'")
                try await cd("/root") {
                    try await cd("a b") {
                        #expect(try await remoteSudo("pwd; cat 'it'\\''s'").lines == ["/root/a b", "deep"])
                        #expect(try await remoteFileExists("it's", .sudo()))
                        #expect(try await remoteFileExists("it's") == false, "joe may not look")
                        let error = try await operationError(.commandNotStarted) { try await remote("pwd") }
                        #expect(error.message.contains("Permission denied"), "\(error)")
                    }
                }
                try await env(["A": "x; echo pwned 'q'"]) { () async throws in
                    #expect(try await remoteSudo("printf %s \"$A\"").output == "x; echo pwned 'q'")
                }
                try await prefix("B=2") { () async throws in #expect(try await remoteSudo("echo $B").lines == ["2"]) }
                // Files too.
                try await cd("/root") {
                    let refused = try await operationError(.transferFailed) { try await upload(text: "x", to: "mine") }
                    #expect("\(refused)".contains("Permission denied"), "\(refused)")
                    try await upload(text: "root's", to: "mine", .sudo(), .mode(0o600))
                    #expect(try await remoteSudo("stat -c '%U %a' mine").lines == ["root 600"])
                    _ = try await operationError(.transferFailed) { try await downloadText("mine") }
                    #expect(try await downloadText("mine", .sudo()) == "root's")
                    #expect(try await remoteFileExists("mine", .sudo()))
                }
                // All of a scope, and back.
                try await withSettings(.sudo(user: "ann")) { () async throws in
                    #expect(try await remote("id -un").lines == ["ann"])
                    #expect(try await remoteSudo("id -un").lines == ["ann"])
                    #expect(try await remoteSudo("id -un", user: "root").lines == ["root"])
                    #expect(try await remote("id -un", .withoutSudo).lines == ["joe"])
                }
                let all = try await machine.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null").output
                #expect(!all.contains("pw joe"))
            }
            await eventually { machine.programs().allSatisfy { $0.name != "sudo" } }
            #expect(try await joe.run("echo still here").lines == ["still here"])
        }
    }

    @Test func `sudo's refusals come in its words`() async throws {
        try await withAccountMachine(staticAgent) { martlet, root, _ in
            let joe = try await joe(root)
            try await withOperations(on: martlet, .host(joe), .quiet, .warnOnly) {
                let none = try await expectError(.authenticationFailed) { try await remoteSudo("id") }
                #expect(none.message == "sudo wants a password to become root")
                let wrong = try await expectError(.authenticationFailed) {
                    try await remoteSudo("id", password: Secret("open sesame"))
                }
                #expect(!"\(wrong)".contains("open sesame"))
                // Who has the right one has a connection of his own.
                #expect(try await remoteSudo("id -un", password: Secret("pw joe")).lines == ["root"])
                try await expectError(.authenticationFailed) { try await remoteSudo("id") }
            }
        }
    }
}

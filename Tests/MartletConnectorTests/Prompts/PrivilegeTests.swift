import Martlet
import MartletTestKit
import MartletTestSupport
import Testing

@Suite(.leakChecked, .enabled("needs root and namespaces") { await ThrowawayMachine.obstacle() == nil })
struct PrivilegeTests {
    private func name(_ context: Context) async throws -> String { try await context.run("id -un").text }

    private func local(_ user: String) -> LocalConnector {
        var options = LocalOptions()
        options.user = user
        return .local(options)
    }

    @Test func `sudo, with a password and without, as any user, from a terminal or not`() async throws {
        try await withAccountMachine { root, machine in
            let joe = try await root.connect(local("joe"))
            #expect(try await name(joe) == "joe\n")
            #expect(joe.route.description.hasSuffix("local:joe"))

            let sudo = try await joe.connect(.sudo(password: Secret("pw joe")))
            #expect(try await name(sudo) == "root\n")
            #expect(sudo.facts.userID == 0)
            // The data is as clean as anywhere.
            #expect(try await sudo.call(Echo(value: "\u{0}\u{4}\r\nü")) == "\u{0}\u{4}\r\nü")

            var login = SudoConnector(user: "ann", password: Secret("pw joe"))
            login.isLogin = true
            let ann = try await joe.connect(login)
            #expect(try await ann.run("echo $USER $HOME; pwd").lines == ["ann /home/ann", "/home/ann"])

            let nop = try await root.connect(local("nop"))
            #expect(try await name(nop.connect(.sudo(user: "ann"))) == "ann\n")

            let rtt = try await root.connect(local("rtt"))
            #expect(try await name(rtt.connect(.sudo(password: Secret("pw rtt")))) == "root\n")

            let lec = try await root.connect(local("lec"))
            let responder = RecordingResponder { _ in Secret("pw lec") }
            #expect(try await name(lec.connect(.sudo(), prompts: responder)) == "root\n")
            #expect(responder.prompts.map(\.kind) == [.password])
            #expect(responder.prompts.first?.text == "[sudo] password for lec:")
            #expect(responder.prompts.first?.isHidden == true)
            #expect(responder.prompts.first?.route.steps.last == "sudo:root")
            #expect(responder.prompts.first.map { $0.lines.count > 2 } == true, "the lecture")

            try await nothingShows(machine, "pw joe", "pw rtt", "pw lec")
        }
    }

    /// No process carries the words in its arguments or environment.
    private func nothingShows(_ machine: ThrowawayMachine, _ secrets: String...) async throws {
        let all = try await machine.run("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null").output
        for secret in secrets { #expect(!all.contains(secret)) }
    }

    @Test func `sudo refuses: each reason has its words`() async throws {
        try await withAccountMachine { root, machine in
            let joe = try await root.connect(local("joe"))
            let ann = try await root.connect(local("ann"))
            let none = try await expectError(.authenticationFailed) { try await joe.connect(.sudo()) }
            #expect(none.message == "sudo wants a password to become root")
            #expect(none.phase == .authenticate)

            let wrong = try await expectError(.authenticationFailed) {
                try await joe.connect(.sudo(password: Secret("open sesame")))
            }
            #expect(wrong.message.contains("“[sudo] password for joe:” was not accepted"))
            #expect(!"\(wrong)".contains("open sesame"))

            let right = try await expectError(.authenticationFailed) {
                try await ann.connect(.sudo(password: Secret("pw ann")))
            }
            #expect(right.message == "sudo does not allow us to become root")

            let refused = try await expectError(.promptRefused) {
                try await joe.connect(.sudo(), prompts: ClosureResponder { _ in nil })
            }
            #expect(refused.message.contains("“[sudo] password for joe:”"))

            let broken = try await expectError(.promptRefused) {
                try await joe.connect(.sudo(), prompts: ClosureResponder { _ in throw PlainError(text: "no safe") })
            }
            #expect(broken.message.contains("no safe"))

            try await expectError(.connectorFailed) { try await root.connect(.sudo(user: "nobody-like-this")) }
            try await expectError(.misuse) { try await root.connect(.sudo(user: "-s")) }
            await eventually { machine.programs().allSatisfy { $0.name != "sudo" } }
        }
    }

    @Test func `su, with a password and as root without`() async throws {
        try await withAccountMachine { root, machine in
            let ann = try await root.connect(local("ann"))
            let su = try await ann.connect(.su(password: Secret("pw root")))
            #expect(try await name(su) == "root\n")
            #expect(try await su.call(Echo(value: "\u{4}")) == "\u{4}")
            #expect(try await name(root.connect(.su("joe"))) == "joe\n")
            var login = SuConnector("joe", password: Secret("pw joe"))
            login.isLogin = true
            #expect(try await ann.connect(login).run("pwd").lines == ["/home/joe"])

            let wrong = try await expectError(.authenticationFailed) {
                try await ann.connect(.su(password: Secret("open sesame")))
            }
            #expect(wrong.message == "su did not let us become root")
            #expect(!"\(wrong)".contains("open sesame"))
            let none = try await expectError(.promptRefused) { try await ann.connect(.su()) }
            #expect(none.message.contains("“Password:” was asked"))
            try await nothingShows(machine, "pw root", "pw joe", "open sesame")
        }
    }

    @Test func `What a login shell writes is no question: no password goes to it`() async throws {
        try await withAccountMachine { root, machine in
            let profile = "printf 'Loading modules: ' >&2; sleep 3; echo done >&2"
            for account in ["joe", "ann"] {
                _ = try await machine.run("echo \"\(profile)\" >/home/\(account)/.profile")
            }
            var login = SuConnector("joe", password: Secret("pw joe"))
            login.isLogin = true
            let ann = try await root.connect(local("ann"))
            // Asked, and not asked.
            for from in [ann, root] {
                let joe = try await from.connect(login)
                #expect(try await joe.run("id -un; pwd").lines == ["joe", "/home/joe"])
            }
            var sudo = SudoConnector(user: "ann", password: Secret("pw nop"))
            sudo.isLogin = true
            let nop = try await root.connect(local("nop"))
            #expect(try await nop.connect(sudo).run("id -un; pwd").lines == ["ann", "/home/ann"])
        }
    }

    @Test func `A question in another language is one`() async throws {
        try await withAccountMachine { root, machine in
            let ann = try await root.connect(local("ann"))
            // sudo's own text comes from a module that speaks French.
            _ = try await machine.run(
                """
                printf '%s\\n' '#!/bin/sh' 'printf "Mot de passe de %s : " root >&2' 'IFS= read -r word' \\
                    '[ "$word" = "pw root" ] || { echo "désolé" >&2; exit 1; }' 'shift; shift' 'exec sh -c "$1"' >/usr/local/bin/su
                chmod 755 /usr/local/bin/su
                """)
            var connector = SuConnector(password: Secret("pw root"))
            connector.program = "/usr/local/bin/su"
            #expect(try await name(ann.connect(connector)) == "ann\n")
        }
    }

    @Test(.enabled("needs doas") { try await runProgram(["sh", "-c", "command -v doas"]).exitCode == 0 })
    func `doas, with a password and without`() async throws {
        try await withAccountMachine { root, machine in
            let joe = try await root.connect(local("joe"))
            let doas = try await joe.connect(.doas(password: Secret("pw joe")))
            #expect(try await name(doas) == "root\n")
            #expect(try await doas.call(Echo(value: "\u{3}\u{4}\r\n")) == "\u{3}\u{4}\r\n")
            let nop = try await root.connect(local("nop"))
            #expect(try await name(nop.connect(.doas())) == "root\n")

            let wrong = try await expectError(.authenticationFailed) {
                try await joe.connect(.doas(password: Secret("open sesame")))
            }
            #expect(wrong.message == "doas did not let us become root")
            let none = try await expectError(.authenticationFailed) { try await joe.connect(.doas()) }
            #expect(none.message == "doas wants a password to become root")
            try await nothingShows(machine, "pw joe", "open sesame")
        }
    }

    @Test func `ssh asks for a password, a passphrase, a host key`() async throws {
        try await withAccountMachine { root, machine in
            let asked = RecordingResponder { prompt in
                switch prompt.kind {
                case .password: Secret("pw joe")
                case .passphrase: Secret("pass joe")
                case .hostKey: Secret("yes")
                default: nil
                }
            }
            for host in ["known", "pam"] {
                let context = try await root.connect(
                    .ssh(host, user: "joe", options: ["PubkeyAuthentication=no"]), prompts: asked)
                #expect(try await name(context) == "joe\n")
                #expect(try await context.call(Echo(value: "\u{4}")) == "\u{4}")
            }
            #expect(asked.prompts.map(\.kind) == [.password, .password])
            #expect(asked.prompts.first?.text == "joe@127.0.0.1's password:")

            let key = RecordingResponder { $0.kind == .passphrase ? Secret("pass joe") : nil }
            #expect(
                try await name(root.connect(.ssh("known", user: "joe", identity: "/root/locked"), prompts: key))
                    == "joe\n")
            #expect(key.prompts.map(\.kind) == [.passphrase])

            let host = RecordingResponder { $0.kind == .hostKey ? Secret("yes") : Secret("pw joe") }
            #expect(try await name(root.connect(.ssh("unknown", user: "joe"), prompts: host)) == "joe\n")
            #expect(host.prompts.first?.kind == .hostKey)
            #expect(host.prompts.first?.lines.contains { $0.contains("SHA256:") } == true)

            let wrong = try await expectError(.authenticationFailed) {
                try await root.connect(
                    .ssh("known", user: "joe", options: ["PubkeyAuthentication=no"], password: Secret("open sesame")))
            }
            #expect(!"\(wrong)".contains("open sesame"))
            let refused = try await expectError(.promptRefused) {
                try await root.connect(
                    .ssh("known", user: "joe", options: ["PubkeyAuthentication=no"]), prompts: SecretsResponder())
            }
            #expect(refused.message.contains("“joe@127.0.0.1's password:”"))
            try await nothingShows(machine, "pw joe", "pass joe", "open sesame")
        }
    }

    @Test func `A jump host does not get the password of the host behind it`() async throws {
        try await withAccountMachine { root, machine in
            for host in ["known", "pam"] {
                let target = SSHConnector.ssh(
                    host, user: "joe", options: ["PubkeyAuthentication=no", "ProxyJump=ann@bastion"],
                    password: Secret("pw joe"))
                let error = try await expectError(.promptRefused) { try await root.connect(target) }
                #expect(error.message.contains("ann@127.0.0.2"), "\(error)")
                let responder = RecordingResponder { $0.text.contains("ann@127.0.0.2") ? Secret("pw ann") : nil }
                #expect(try await name(root.connect(target, prompts: responder)) == "joe\n")
                #expect(responder.prompts.map(\.kind) == [.other])
            }
        }
    }
}

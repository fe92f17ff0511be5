import Foundation
import MartletTestSupport
import Testing

@testable import Martlet

@Suite struct SpecGrammarTests {
    @Test func `A chain of hops, each with argument and options, is read and printed back`() throws {
        let text =
            "ssh:user@host:2222?identity=~/.ssh/key&option=ProxyJump=b/sudo:postgres/podman:web?program=podman/python"
        let route = try RouteSpec(text, kinds: .many)
        #expect(route.hops.map(\.kind) == ["ssh", "sudo", "podman", "python"])
        #expect(route.hops.map(\.argument) == ["user@host:2222", "postgres", "web", nil])
        #expect(
            route.hops[0].options == [
                .init(name: "identity", value: "~/.ssh/key"), .init(name: "option", value: "ProxyJump=b"),
            ])
        #expect(route.hops[2].options == [.init(name: "program", value: "podman")])
        #expect(route.description == text)
        let ssh = try #require(route.hops[0].connector as? SSHConnector)
        #expect((ssh.user, ssh.host, ssh.port) == ("user", "host", 2222))
        #expect(ssh.identity == "~/.ssh/key")
        #expect(ssh.options == ["ProxyJump=b"])
    }

    /// What is read, as `kind argument option=value` of each hop.
    private static func shape(_ route: RouteSpec) -> String {
        route.hops.map { hop in
            ([hop.kind + (hop.argument.map { "(\($0))" } ?? "")]
                + hop.options.map { $0.name + ($0.value.map { "(\($0))" } ?? "") }).joined(separator: " ")
        }.joined(separator: " | ")
    }

    @Test(arguments: [
        // Paths have slashes, and end where a kind with its colon begins.
        ("ssh:a?identity=/home/me/keys/web/sudo:root", "ssh(a) identity(/home/me/keys/web) | sudo(root)"),
        ("ssh:a?identity=~/.ssh/key/sudo:", "ssh(a) identity(~/.ssh/key) | sudo"),
        ("ssh:a?identity=~/key/sudo?login/local", "ssh(a) identity(~/key) | sudo login | local"),
        ("ssh:a?identity=./key/sudo:?login", "ssh(a) identity(./key) | sudo login"),
        ("ssh:a?identity=../key&config=/etc/c/python:", "ssh(a) identity(../key) config(/etc/c) | python"),
        ("ssh:a?identity=~/ssh/local/key", "ssh(a) identity(~/ssh/local/key)"),
        ("ssh:a?identity=%2Fhome%2Fme/sudo", "ssh(a) identity(/home/me) | sudo"),
        ("ssh:a?option=IdentityFile=~/.ssh/key/sudo:", "ssh(a) option(IdentityFile=~/.ssh/key) | sudo"),
        ("ssh:a?identity=~/a%2Fpython", "ssh(a) identity(~/a/python)"),
        ("ssh:a?identity=/a/x%3Ay/key", "ssh(a) identity(/a/x:y/key)"),
        ("ssh:a?identity=/a/x_y:z/key", "ssh(a) identity(/a/x_y:z/key)"),
        // A program is often called as a kind is.
        ("podman:web?program=/usr/bin/podman", "podman(web) program(/usr/bin/podman)"),
        ("podman:web?program=/usr/bin/podman/python:", "podman(web) program(/usr/bin/podman) | python"),
        ("podman:web?program=/usr/bin/podman&user=me/python", "podman(web) program(/usr/bin/podman) user(me) | python"),
        // A path behind the colon.
        ("chroot:/srv/jail/sudo:x", "chroot(/srv/jail) | sudo(x)"),
        ("chroot:/srv/jail?login/sudo", "chroot(/srv/jail) login | sudo"),
        ("chroot:~/jail", "chroot(~/jail)"),
        ("sudo:/python:", "sudo | python"),
        ("sudo:/podman:web", "sudo | podman(web)"),
        ("sudo/sudo:?login", "sudo | sudo login"),
        // Hosts.
        ("web1", "ssh(web1)"), ("root@web1", "ssh(root@web1)"), ("web1:2222", "ssh(web1:2222)"),
        ("web1:2222?identity=~/k/sudo:", "ssh(web1:2222) identity(~/k) | sudo"),
        ("root@web1/sudo:postgres", "ssh(root@web1) | sudo(postgres)"), ("[::1]:22/sudo", "ssh([::1]:22) | sudo"),
        ("::1", "ssh(::1)"), ("ssh:[::1]:22", "ssh([::1]:22)"), ("ssh:x@[fe80::1%eth0]:22", "ssh(x@[fe80::1%eth0]:22)"),
        ("fe80::1%25eth0", "ssh(fe80::1%eth0)"), ("münchen/sudo", "ssh(münchen) | sudo"), ("ssh:sudo", "ssh(sudo)"),
        ("local", "local"), ("local:", "local"), ("local/local", "local | local"), ("podman:8080", "podman(8080)"),
        (#"DOMAIN\joe@web1"#, #"ssh(DOMAIN\joe@web1)"#), ("DB:2222", "ssh(DB:2222)"),
        // Encoding.
        ("local?env=A=%2F%3F%26%3D%25&env=B=ü%C3%BC", "local env(A=/?&=%) env(B=üü)"),
        ("ssh:a?option=ProxyCommand=nc %h %p/sudo", "ssh(a) option(ProxyCommand=nc %h %p) | sudo"),
        ("ssh:a?option=ProxyCommand=/bin/nc %h %p", "ssh(a) option(ProxyCommand=/bin/nc %h %p)"),
        ("local?env=A=", "local env(A=)"), ("local?env=A=a=b=c", "local env(A=a=b=c)"), ("sudo?login", "sudo login"),
        ("unshare?map=7", "unshare map(7)"), ("podman:a?pull=never", "podman(a) pull(never)"),
    ])
    func `What people type is read as they mean it`(_ text: String, shape: String) throws {
        let route = try RouteSpec(text, kinds: .many)
        #expect(Self.shape(route) == shape)
        #expect(try RouteSpec(route.description, kinds: .many) == route, "\(route)")
    }

    @Test(arguments: [
        ("web1", "ssh:web1"), ("local:", "local"), ("ssh:a?identity=%7E%2Fk", "ssh:a?identity=~/k"),
        ("ssh:a?identity=~/k/python:", "ssh:a?identity=~/k/python:"), ("sudo:/python:", "sudo/python"),
        ("ssh:a?identity=~/k/sudo:?login", "ssh:a?identity=~/k/sudo:?login"),
        ("ssh:a?option=A=nc %h %70", "ssh:a?option=A=nc%20%h%20p"), ("local?env=A=%2520", "local?env=A=%2520"),
        ("local?env=A=%E2%80%AE%0A,", "local?env=A=%E2%80%AE%0A%2C"), ("ssh:a?identity=k%2Fl", "ssh:a?identity=k%2Fl"),
        ("ssh:[::1]:2", "ssh:[::1]:2"), ("chroot:/a[1-2]", "chroot:/a%5B1-2%5D"),
        ("ssh:a?identity=/x%2Fpython", "ssh:a?identity=/x%2Fpython"), ("local?env=A=/b%3Ac", "local?env=A=/b%3Ac"),
    ])
    func `There is one way to write it, safe between quotes and in lists`(_ text: String, canonical: String) throws {
        #expect(try RouteSpec(text, kinds: .many).description == canonical)
    }

    @Test func `Connectors are told in words, and no secret or default is among them`() throws {
        #expect(try ConnectorSpec(.local).description == "local")
        #expect(try ConnectorSpec(.ssh("web1")).description == "ssh:web1")
        #expect(try ConnectorSpec(.ssh("::1")).description == "ssh:::1")
        #expect(try ConnectorSpec(.ssh("::1", port: 22)).description == "ssh:[::1]:22")
        #expect(SSHConnector("::1", user: "me").label == "ssh:me@[::1]")
        #expect(try ConnectorSpec(.ssh("me@web1", port: 22)).description == "ssh:me@web1:22")
        let ssh = SSHConnector(
            "web1", user: "joe", port: 2222, identity: "keys/a b", configuration: "~/c", options: ["A=1", "A=/2"],
            program: "/opt/ssh")
        #expect(
            try ConnectorSpec(ssh).description
                == "ssh:joe@web1:2222?identity=keys%2Fa%20b&config=~/c&option=A=1&option=A=/2&program=/opt/ssh")
        var options = LocalOptions()
        options.environment = ["B": "2", "A": "1", "C": nil]
        options.nice = -3
        options.directory = "/tmp"
        let local = try ConnectorSpec(LocalConnector(options: options))
        #expect(local.description == "local?dir=/tmp&env=A=1&env=B=2&unset=C&nice=-3")
        #expect((local.connector as? LocalConnector)?.options == options)
    }

    @Test func `What no spec can say is an error`() {
        #expect { try ConnectorSpec(CommandConnector(command: ["x"])) } throws: {
            ($0 as? SpecError)?.code == .inexpressible
        }
        #expect(throws: SpecError.self) { try ConnectorSpec(.ssh("-oProxyCommand=x")) }
    }

    @Test func `Routes are joined`() throws {
        let route = try RouteSpec("bastion?identity=~/k").appending(RouteSpec("local"))
        #expect(route.description == "ssh:bastion?identity=~/k/local:")
        #expect(try RouteSpec(route.description) == route)
    }

    @Test func `Each kind of Martlet's has a name of its own, and options with different names`() {
        let kinds = ConnectorKind.all
        #expect(Set(kinds.map(\.name)).count == kinds.count)
        for kind in kinds {
            #expect(Set(kind.options.map(\.name)).count == kind.options.count, "\(kind.name)")
            #expect(kind.options.allSatisfy { kind.hints[$0.name] == nil }, "\(kind.name)")
            #expect(!kind.summary.isEmpty && kind.options.allSatisfy { !$0.meaning.isEmpty }, "\(kind.name)")
        }
    }
}

@Suite struct SpecDocumentTests {
    private static func text() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../../..")
        return try String(contentsOf: root.appending(path: "docs/SPECS.md"), encoding: .utf8)
    }

    @Test(arguments: ConnectorKind.all.map(\.name))
    func `The table in SPECS.md is what the kinds say`(_ name: String) throws {
        let kind = try #require(ConnectorKind.all.first { $0.name == name })
        let options = kind.options.map { "`\($0.form)` \($0.meaning)" + ($0.isRepeatable ? "; may be repeated" : "") }
        let row = "| `\(kind.form)` | \(kind.summary) | \(options.joined(separator: "<br>")) |"
        #expect(try Self.text().split(separator: "\n").contains { $0 == row }, "SPECS.md should have: \(row)")
    }

    @Test func `SPECS.md has no kind that is not there, and its example of an error is one`() throws {
        let lines = try Self.text().split(separator: "\n").map(String.init)
        let table = lines.drop { $0 != "| spec | leads to | options |" }.dropFirst(2).prefix { $0.hasPrefix("|") }
        #expect(table.count == ConnectorKind.all.count)
        let error = try #require(throws: SpecError.self) { try RouteSpec("ssh:web1?identiy=~/.ssh/key") }
        #expect(try Self.text().contains("```\n\(error)\n```"))
    }

    @Test func `The specs in SPECS.md are read as it says`() throws {
        func kinds(_ text: String) throws -> [String] { try RouteSpec(text, kinds: .many).hops.map(\.kind) }
        #expect(
            try kinds("ssh:root@web1:2222?identity=~/.ssh/key&option=Compression=yes/local:?nice=5") == [
                "ssh", "local",
            ])
        #expect(try kinds("ssh:a?identity=~/.ssh/key/sudo:root") == ["ssh", "sudo"])
        #expect(try kinds("ssh:a?identity=~/.ssh/key/local:") == ["ssh", "local"])
        #expect(throws: SpecError.self) { try kinds("ssh:a?identity=~/.ssh/key/local") }
        #expect(try kinds("ssh:a?program=/opt/bin/ssh") == ["ssh"])
        #expect(try kinds("ssh:a?option=ProxyJump=b/local") == ["ssh", "local"])
        #expect(throws: SpecError.self) { try kinds("ssh:a?identity=keys/a") }
        #expect(try kinds("ssh:a?identity=~/k/local?nice=5") == ["ssh", "local"])
    }
}

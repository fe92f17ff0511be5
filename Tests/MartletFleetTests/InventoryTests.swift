import Foundation
import Martlet
import MartletTestSupport
import Testing

@testable import MartletFleet

@Suite struct InventoryTests {
    static let json = """
        {"variables": {"user": "deploy", "port": 22, "level": "all"}, "spec": "ssh:{user}@{host}",
         "groups": {
           "web": {"hosts": ["web[1-4]", "!web3"], "variables": {"level": "web", "site": "x"}},
           "db": {"hosts": ["db[1-2]"], "spec": "ssh:bastion/ssh:{host}", "variables": {"level": "db"}},
           "prod": {"groups": ["web", "db"], "variables": {"level": "prod", "zone": "eu", "tags": ["a", 1, true, 2.5, {"k": "v"}]}},
           "first": {"hosts": ["web1", "db1"], "priority": 1, "variables": {"level": "first"}},
           "odd": {"hosts": ["@web&web[1,2]"]}},
         "hosts": {"db2": {"spec": "ssh:root@10.0.0.5:2222", "variables": {"level": "own"}}, "lone": {}}}
        """

    static func inventory() throws -> Inventory { try JSONDecoder().decode(Inventory.self, from: Data(json.utf8)) }

    @Test func `Hosts come with specs and variables, the nearest counts`() throws {
        let inventory = try Self.inventory()
        try inventory.check()
        let prod = try inventory.select("@prod")
        #expect(prod.map(\.name) == ["web1", "web2", "web4", "db1", "db2"])
        #expect(
            prod.map(\.spec) == [
                "ssh:deploy@web1", "ssh:deploy@web2", "ssh:deploy@web4", "ssh:bastion/ssh:db1",
                "ssh:root@10.0.0.5:2222",
            ])
        // first and prod are the outermost; of groups as deep as each other the priority says; deeper ones win.
        #expect(prod.map { $0.variables["level"] } == ["web", "web", "web", "db", "own"])
        #expect(prod.allSatisfy { $0.variables["zone"] == "eu" && $0.variables["port"] == 22 })
        #expect(prod[0].groups == ["odd", "prod", "first", "web"])
        #expect(prod[0].variables["tags"] == .list(["a", 1, true, .number(2.5), .table(["k": "v"])]))
        #expect(try inventory.select("@first!@prod,other lone").map(\.spec) == ["ssh:deploy@other", "ssh:deploy@lone"])
        #expect(try inventory.allHosts().map(\.name).sorted() == ["db1", "db2", "lone", "web1", "web2", "web4"])
        #expect(try inventory.select("@odd").map(\.name) == ["web1", "web2"])
        let again = try JSONDecoder().decode(Inventory.self, from: JSONEncoder().encode(inventory))
        #expect(again == inventory)
    }

    @Test func `Among groups as deep as each other the priority counts, then the name`() throws {
        var inventory = Inventory(groups: [
            "a": .init(hosts: ["x"], variables: ["v": "a"]), "b": .init(hosts: ["x"], variables: ["v": "b"]),
        ])
        #expect(try inventory.select("x")[0].variables["v"] == "b")
        inventory.groups["a"]!.priority = 1
        #expect(try inventory.select("x")[0].variables["v"] == "a")
        #expect(try inventory.select("x")[0].spec == "x")
    }

    @Test(arguments: [
        (#"{"groups": {"web": {"hosts": ["a", "b", 3]}}}"#, "groups.web.hosts[2]: this should be a text"),
        (
            #"{"groups": {"web": {"hots": ["a"]}}}"#,
            "groups.web.hots: there is nothing called \"hots\" here; did you mean \"hosts\"?"
        ),
        (#"{"groups": {"web": {"priority": "high"}}}"#, "groups.web.priority: this should be a whole number"),
        (
            #"{"nonsense": 1}"#,
            "nonsense: there is nothing called \"nonsense\" here, only groups, hosts, variables, spec, via"
        ),
    ])
    func `What does not fit is named by its key path`(_ text: String, _ words: String) throws {
        let error = try #require(throws: DecodingError.self) {
            try JSONDecoder().decode(Inventory.self, from: Data(text.utf8))
        }
        #expect("\(InventoryError(error))" == words)
    }

    @Test(
        arguments: [
            (
                ["a": .init(groups: ["b"]), "b": .init(groups: ["c"]), "c": .init(groups: ["a"])], "groups.c.groups[0]",
                "a contains b contains c contains a"
            ),
            (["a": .init(hosts: ["@a"])], "groups.a.hosts[0]", "a contains a"),
            (["a": .init(groups: ["wbe"]), "web": .init()], "groups.a.groups[0]", "did you mean \"web\""),
            (["a": .init(hosts: ["x", "n[2-1]"])], "groups.a.hosts[1]", "not a range"),
            (["a": .init(hosts: ["@none"])], "groups.a.hosts[0]", "no group \"none\""),
            (["a": .init(hosts: ["x"], spec: "ssh:{nobody}@{host}")], "hosts.x", "{nobody}"),
            (["a": .init(hosts: ["x"], spec: "ssh:{host}?nce=5")], "hosts.x", "no option"),
            (["a": .init(hosts: ["a[1-60000]", "b[1-60000]"])], "groups.a.hosts[1]", "100000"),
        ] as [([String: Inventory.Group], String, String)])
    func `What makes no sense is told, with its place`(
        _ groups: [String: Inventory.Group], _ path: String, _ words: String
    ) throws {
        let error = try #require(throws: InventoryError.self) { try Inventory(groups: groups).check() }
        #expect(error.path == path && error.message.contains(words), "\(error)")
    }

    @Test func `Many names, and groups in many ways around each other, take no time`() throws {
        var groups: [String: Inventory.Group] = [:]
        for layer in 0..<40 {
            for name in ["a", "b"] {
                groups["\(name)\(layer)"] = .init(groups: layer == 39 ? [] : ["a\(layer + 1)", "b\(layer + 1)"])
            }
        }
        groups["a39"]!.hosts = (0..<5_000).map { "h\($0)x" }
        #expect(try Inventory(groups: groups).select("@a0").count == 5_000)
        #expect(try NodeSet((0..<5_000).map { "h\($0)x" }.joined(separator: ",")).count == 5_000)
        let chain = Dictionary(
            uniqueKeysWithValues: (0..<500).map { ("g\($0)", Inventory.Group(groups: ["g\($0 + 1)"])) })
        let error = try #require(throws: InventoryError.self) { try Inventory(groups: chain).check() }
        #expect(error.message.contains("deep"))
    }

    @Test func `A group that is not there is shown in the expression, with the nearest`() throws {
        let error = try #require(throws: SpecError.self) { try Self.inventory().select("web9,@wbe") }
        #expect(error.code == .unknownGroup && error.offset == 5 && error.suggestion == "@web")
    }

    @Test func `Hosts of an ssh configuration, with what it includes`() async throws {
        try await TestFolder.with { folder in
            try """
            # Host commented
            Host web1 web2 *.example !bad "with blank"
              HostName 10.0.0.1
            host=db1
            Include \(folder.path)/more-* "\(folder.path)/self"
            Match host x
            HOST  last # comment
            Host *
            """.write(toFile: folder.file("config"), atomically: true, encoding: .utf8)
            try "Host in1\n".write(toFile: folder.file("more-1"), atomically: true, encoding: .utf8)
            try "Host in2 web1\n".write(toFile: folder.file("more-2"), atomically: true, encoding: .utf8)
            try "Host me\nInclude \(folder.path)/self\n".write(
                toFile: folder.file("self"), atomically: true, encoding: .utf8)
            let found = SSHConfiguration(path: folder.file("config"))
            #expect(found.hosts == ["web1", "web2", "with blank", "db1", "in1", "in2", "me", "last"])
            let inventory = found.inventory()
            #expect(try inventory.select("@ssh&web*").isEmpty)
            #expect(try inventory.select("@ssh!db1").map(\.name) == ["web1", "web2", "in1", "in2", "me", "last"])
            #expect(try inventory.select("db1")[0].spec == "ssh:db1")
            #expect(SSHConfiguration(path: folder.file("none")).hosts.isEmpty)
        }
    }

    @Test func `What a host says of itself is read, and what is odd in it passed over`() throws {
        let text =
            #"{"system":"Linux","release":"6","architecture":"x86_64","hostname":"h","user":"u","userID":0,"processID":1,"processors":2,"memory":4}"#
        let machine = try JSONDecoder().decode(Facts.self, from: Data(text.utf8))
        let facts = HostFacts(
            machine,
            "id\tdebian\nversion\t12\nname\tDebian GNU/Linux 12\nlike\t\naddress\tfd00::1\naddress\t10.0.0.1\naddress\t10.0.0.1\nmodel\tCPU @ 2\nnonsense\navailable\t1024\ndisk\tx\nuptime\t12.5\npython\t/usr/bin/python3\npythonVersion\t3.11.2\nfuture\t1",
            readAt: 0)
        #expect(facts.distribution.id == "debian" && facts.distribution.version == "12")
        #expect(facts.addresses == ["10.0.0.1", "fd00::1"] && facts.processorModel == "CPU @ 2")
        #expect(facts.availableMemory == 1 << 20 && facts.availableDisk == nil && facts.uptime == 12.5)
        #expect(facts.pythonVersion == "3.11.2")
        #expect(!facts.isCurrent(.seconds(600)))
    }
}

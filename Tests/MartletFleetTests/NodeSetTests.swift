import Martlet
import MartletTestKit
import Testing

@testable import MartletFleet

@Suite struct NodeSetTests {
    @Test(arguments: [
        ("web", ["web"]), ("web[1-3]", ["web1", "web2", "web3"]), ("web[08-11]", ["web08", "web09", "web10", "web11"]),
        ("db[1,3,5-6].example", ["db1.example", "db3.example", "db5.example", "db6.example"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]), ("n[0-10/4]", ["n0", "n4", "n8"]),
        ("n[00-10/5]", ["n00", "n05", "n10"]), ("n[1[0-2],20]", ["n10", "n11", "n12", "n20"]),
        ("n[1[0-1]-12]", []), ("[::1]:22", ["[::1]:22"]), ("a[]b", ["a[]b"]), ("a[b]", ["a[b]"]),
        ("n[1,1]", ["n1", "n1"]), ("web[1-2]/sudo:root", ["web1/sudo:root", "web2/sudo:root"]),
        ("[1-2][3-4]", ["13", "14", "23", "24"]), ("web[]", ["web[]"]), ("", [""]),
        ("ssh:b/ssh:web[1-2]/sudo:root", ["ssh:b/ssh:web1/sudo:root", "ssh:b/ssh:web2/sudo:root"]),
        ("r[1-2]@[::1]", ["r1@[::1]", "r2@[::1]"]),
    ])
    func `Patterns are expanded as written`(_ text: String, _ names: [String]) throws {
        if names.isEmpty {
            #expect(throws: SpecError.self) { try NodePattern.expand(text) }
        } else {
            #expect(try NodePattern.expand(text) == names)
        }
    }

    @Test(arguments: [
        "n[3-1]", "n[1-]", "n[-2]", "n[1,,2]", "n[1-2-3]", "n[1/2]", "n[0-9/0]", "n[0-9/2/2]", "n[1234567890]",
    ])
    func `What is no range is told`(_ text: String) throws {
        let error = try #require(throws: SpecError.self) { try NodePattern.expand(text) }
        #expect(error.code == .badArgument, "\(error)")
        #expect("\(error)".contains("^"))
    }

    @Test(arguments: [
        ("web[3-1]", 4), ("web[1-]", 4), ("web[1,,2]", 6), ("web[-1]", 4), ("web[1-2-3]", 4), ("web[1,1234567890]", 6),
        ("web[1-100001]", 4), ("w[1-1000][1-1000]", 9),
    ])
    func `What is no range is pointed at`(_ text: String, offset: Int) {
        #expect { try NodePattern.expand(text) } throws: { ($0 as? SpecError)?.offset == offset }
    }

    @Test func `Lists are cut at commas, but not in ranges`() {
        #expect(NodePattern.split("a,b[1,2],c") == ["a", "b[1,2]", "c"])
        #expect(NodePattern.split("a,,b,") == ["a", "", "b", ""])
    }

    @Test func `There is a bound, however it is reached`() throws {
        #expect(try NodePattern.expand("n[1-100000]").count == 100_000)
        for text in [
            "n[0-100000]", "n[1-99999999]", "n[1-1000][1-101]", "n[1-60000,1-60000]", "n[1[0-9][0-9][0-9][0-9][0-9],2]",
        ] {
            let error = try #require(throws: SpecError.self) { try NodeSet(text) }
            #expect(error.code == .tooLong, "\(text): \(error)")
        }
        #expect(throws: SpecError.self) { try NodeSet("a[1-60000],b[1-60000]") }
        #expect(try NodeSet("a[1-60000]!b[1-60000]").count == 60_000)
    }

    static let groups = [
        "web": ["web1", "web2", "web3"], "rack1": ["web1", "db1"], "rack2": ["web2"],
        "*": ["web1", "web2", "web3", "db1"],
    ]

    static func set(_ text: String) throws -> [String] {
        try NodeSet(text) { (name) throws(SpecError) in groups[name] }.names
    }

    @Test(arguments: [
        ("a,b", ["a", "b"]), ("a b", ["a", "b"]), (" a ,, b ", ["a", "b"]), ("", []), (" , ", []),
        ("b,a,b", ["b", "a"]),
        ("n[1-4]!n[2-3]", ["n1", "n4"]), ("n[1-4] ! n2", ["n1", "n3", "n4"]), ("n[1-4],!n2", ["n1", "n3", "n4"]),
        ("n[1-4]&n[3-6]", ["n3", "n4"]), ("n[1-2]^n[2-3]", ["n1", "n3"]), ("n[1-3]!n1,n1", ["n2", "n3", "n1"]),
        ("a,b&b,c", ["b", "c"]), ("@web", ["web1", "web2", "web3"]), ("@web!@rack1", ["web2", "web3"]),
        ("@rack[1-2]", ["web1", "db1", "web2"]), ("@*!@web", ["db1"]), ("@web&@rack[1-2]", ["web1", "web2"]),
        ("local?dir=/srv&nice=5,b", ["local?dir=/srv&nice=5", "b"]), ("root@web[1-2]!root@web1", ["root@web2"]),
        ("ssh:a/sudo:b c", ["ssh:a/sudo:b", "c"]),
    ])
    func `Expressions are read from left to right`(_ text: String, _ names: [String]) throws {
        #expect(try Self.set(text) == names)
    }

    @Test(arguments: [
        ("!a", SpecError.Code.strayCharacter, 0), ("a!", .empty, 1), ("a!&b", .strayCharacter, 2),
        ("@nope", .unknownGroup, 0),
        ("a,@", .empty, 2), ("a[1-2", .badArgument, 0), ("a, n[2-1]", .badArgument, 5), ("a & ", .empty, 1),
    ])
    func `A mistake is shown where it is`(_ text: String, _ code: SpecError.Code, _ offset: Int) throws {
        let error = try #require(throws: SpecError.self) { try Self.set(text) }
        #expect(error.code == code && error.offset == offset, "\(error)")
    }

    @Test(arguments: [
        (["web1", "web2", "web3"], "web[1-3]"), (["web3", "web1", "db", "web2", "web2"], "db,web[1-3]"),
        (["n08", "n09", "n10", "n11"], "n[08-11]"), (["n8", "n9", "n10"], "n[8-10]"),
        (["n1", "n01", "n001"], "n[1,01,001]"),
        (["n98", "n99", "n100"], "n[98-100]"), (["n098", "n99", "n100"], "n[098,99,100]"),
        (["r1n1", "r1n2", "r2n1", "r2n2"], "r[1-2]n[1-2]"), (["r1n1", "r1n2", "r2n1"], "r1n[1-2],r2n1"),
        (["a", "b"], "a,b"), (["only7"], "only7"), (["n1", "n3", "n5"], "n[1,3,5]"),
        (["[::1]:22", "x1"], "[::1]:22,x1"),
        (["n12345678901", "n12345678902"], "n12345678901,n12345678902"), ([], ""),
        (["web10.b2", "web9.b2", "web9.b1"], "web9.b[1-2],web10.b2"),
    ])
    func `Names fold`(_ names: [String], _ text: String) throws {
        #expect(NodeSet.fold(names) == text)
    }

    @Test(arguments: 0..<60) func `Whatever folds expands to the same`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var names: Set<String> = []
        for _ in 0..<Int.random(in: 1...80, using: &random) {
            var name = ["web", "db-", "x.y", ""].randomElement(using: &random)!
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let width = Int.random(in: 1...4, using: &random)
                let digits = "\(Int.random(in: 0...(seed % 2 == 0 ? 12 : 1200), using: &random))"
                name += String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
                name += ["n", "-", ".r", ""].randomElement(using: &random)!
            }
            names.insert(name)
        }
        let text = NodeSet.fold(names)
        #expect(try Set(NodeSet(text).names) == names, "\(text)")
        #expect(NodeSet.fold(names.shuffled(using: &random)) == text)
        #expect(try NodeSet(text).count == names.count)
    }

    @Test(arguments: 0..<40) func `Operations are those of sets`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        func some() -> NodeSet { NodeSet((0..<20).filter { _ in Bool.random(using: &random) }.map { "n\($0)" }) }
        let (a, b) = (some(), some())
        let (x, y) = (Set(a), Set(b))
        #expect(Set(a.union(b)) == x.union(y) && Set(a.intersection(b)) == x.intersection(y))
        #expect(Set(a.subtracting(b)) == x.subtracting(y) && Set(a.symmetricDifference(b)) == x.symmetricDifference(y))
        guard !a.isEmpty, !b.isEmpty else { return }
        for (sign, result) in [
            (",", a.union(b)), ("!", a.subtracting(b)), ("&", a.intersection(b)), ("^", a.symmetricDifference(b)),
        ] {
            #expect(try NodeSet("\(a)\(sign)\(b)") == result)
        }
    }

    @Test(arguments: 0..<200) func `Anything at all is read or refused`(_ seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let text = String(
            (0..<Int.random(in: 0...24, using: &random)).map { _ in "a1[]-,/!&^@? ".randomElement(using: &random)! })
        do { _ = try Self.set(text) } catch { #expect(error is SpecError, "\(text): \(error)") }
    }
}

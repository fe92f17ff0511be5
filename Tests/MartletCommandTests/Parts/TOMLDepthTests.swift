import Testing

@testable import MartletCommand

@Suite struct TOMLDepthTests {
    @Test(arguments: [
        ("a = 1", 1), ("a.b . c = 1.5", 4), ("[a.b.c]", 4), ("[[a]]", 3), ("a.b = [[{c.d = 1}]]", 6),
        (#"a = "b.c.d""#, 1), ("a = 'b.c.d' # e.f.g", 1), (#"a."b.\"c".'d' = 1"#, 3), ("a.b = 1\nc.d = 1", 2),
        ("a = [1.0, 2.0,\n3.0]", 3), (#"a = ["", {b.c = 1}]"#, 4), (#"a = ["""x. " "" y\"""" "", {b.c = 1}]"#, 4),
        ("a = ['''x\n.y''''', {b.c = 1}]", 4), (#"a = "not closed"# + "\nb.c = 1", 2),
    ])
    func `Only keys and brackets count`(_ text: String, depth: Int) {
        let bytes = Array(text.utf8)
        #expect(TOMLDepth.line(deeperThan: depth, in: bytes) == nil)
        #expect(TOMLDepth.line(deeperThan: depth - 1, in: bytes) != nil)
    }

    @Test func `The line is told`() {
        #expect(TOMLDepth.line(deeperThan: 2, in: Array("a = 1\n# x\nb = \"\"\"\n\n\"\"\"\nc.d.e = 1\n".utf8)) == 6)
    }
}

import Martlet
import Testing

@testable import MartletOperations

@Suite struct PatternTests {
    private func finds(_ pattern: TextPattern, _ pieces: [[UInt8]]) throws -> Int {
        var scanner = try PatternScanner(pattern)
        return pieces.reduce(0) { $0 + scanner.receive($1) }
    }

    private func pieces(_ text: String, _ size: Int) -> [[UInt8]] {
        let bytes = Array(text.utf8)
        return stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<min($0 + size, bytes.count)]) }
    }

    @Test(arguments: 1...12) func `A find may come in pieces of any size, and counts once`(size: Int) throws {
        let text = "aaab Password: aab\nPassword: Passwor Password: "
        #expect(try finds("Password: ", pieces(text, size)) == 3)
        #expect(try finds(.expression("[Pp]assw[a-z]*: "), pieces(text, size)) == 3)
        #expect(try finds("aab", pieces(text, size)) == 2)
        #expect(try finds("grüße", pieces("grüßegrüß grüße", size)) == 2)
        #expect(try finds("none", pieces(text, size)) == 0)
    }

    @Test func `The end of what has come is an end`() throws {
        #expect(try finds(.expression("ready\\? $"), [Array("ready? ".utf8)]) == 1)
        #expect(try finds(.expression("ready\\? $"), [Array("ready? no".utf8)]) == 0)
        #expect(try finds(.expression("ready"), [[0, 0] + Array("rea".utf8), Array("dy".utf8) + [0]]) == 1)
        #expect(try finds(.expression("x*"), [Array("aaa".utf8)]) == 0, "nothing is no find")
    }

    @Test func `The beginning is that of all that comes`() throws {
        #expect(try finds(.expression("^a"), [Array("aaa".utf8), Array("a".utf8)]) == 1)
        #expect(try finds(.expression("^ab"), [Array("a".utf8), Array("b".utf8)]) == 1)
        #expect(try finds(.expression("^a"), [Array("\na".utf8)]) == 0)
        let long = Array("x".utf8) + [UInt8](repeating: UInt8(ascii: "y"), count: PatternScanner.window)
        #expect(try finds(.expression("^y"), [long, Array("z".utf8)]) == 0)
        #expect(try finds("aab", [Array("aabaab".utf8), Array("aab".utf8)]) == 3)
    }

    @Test func `Many finds may come in one piece`() throws {
        let many = [Array(String(repeating: "go? ", count: 5000).utf8)]
        #expect(try finds(.expression("go[?] "), many) == 5000)
        #expect(try finds("go? ", many) == 5000)
    }

    @Test func `What is no expression is an error at once`() {
        let error = #expect(throws: OperationError.self) { _ = try TextPattern.expression("a(b") }
        #expect(error?.code == .misuse)
    }

    @Test func `What is kept is bounded, however much comes`() throws {
        for pattern in ["needle", try TextPattern.expression("need[l]e")] as [TextPattern] {
            var scanner = try PatternScanner(pattern)
            var count = 0
            let piece = [UInt8](repeating: UInt8(ascii: "n"), count: 60_000)
            for _ in 0..<40 {
                count += scanner.receive(piece)
                #expect(scanner.keptCount <= PatternScanner.window)
            }
            #expect(count == 0)
            #expect(scanner.receive(Array("needle".utf8)) == 1)
        }
    }

    @Test func `A responder answers each time, on each pipe by itself`() throws {
        var responder = Responder("[y/n]", "y\n")
        #expect(try responder.receive(Array("go on? [y".utf8), from: .output) == [])
        #expect(try responder.receive(Array("/n]".utf8), from: .error) == [])
        #expect(try responder.receive(Array("/n] and [y/n]".utf8), from: .output) == Array("y\ny\n".utf8))
        #expect(try responder.receive(Array(" fine".utf8), from: .output) == [])
        #expect(!"\(Responder("a", Secret("hush")))".contains("hush"))
    }

    @Test func `An answer that is not accepted is an error`() throws {
        var responder = FailingResponder("Password:", "wrong\n", sentinel: "Sorry")
        #expect(try responder.receive(Array("Sorry to bother. Password:".utf8), from: .output) == Array("wrong\n".utf8))
        let error = #expect(throws: OperationError.self) {
            try responder.receive(Array("\nSorry, try again.\nPassword:".utf8), from: .output)
        }
        #expect(error?.code == .responseRefused)
        #expect(error?.message.contains("wrong") == false)
    }

    @Test(arguments: [
        ("Password: ", true), ("[sudo] password for joe: ", true), ("Enter passphrase for key '/x': ", true),
        ("Continue? [Y/n] ", true), ("Are you sure (yes/no/[fingerprint])? ", true), ("password changed\nok\n", false),
        ("The password is kept in a safe\n", false), ("ready\n", false),
    ])
    func `A question is one at the end of what has come`(text: String, isQuestion: Bool) throws {
        for size in [1, 7, 200] {
            var prompt = PromptGuard()
            var found: OperationError?
            for piece in pieces(text, size) where found == nil {
                do { _ = try prompt.receive(piece, from: .output) } catch { found = error as? OperationError }
            }
            #expect((found?.code == .promptAborted) == isQuestion, "\(text), in pieces of \(size)")
        }
    }
}

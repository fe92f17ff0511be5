import Testing

@testable import Martlet

@Suite struct PromptDialogueTests {
    private let long: UInt64 = 10_000_000_000

    @Test func `What bears the mark is a question at once, and shown without it`() {
        var dialogue = PromptDialogue(mark: "m-17")
        dialogue.line("We trust you have received the usual lecture.")
        #expect(
            dialogue.look("m-17 Passwort für joe: ", quiet: 0, isHidden: nil)
                == .ask(
                    text: "Passwort für joe:", lines: ["We trust you have received the usual lecture."], isMarked: true)
        )
    }

    @Test(
        arguments: [
            ("password: ", nil, PromptDialogue.questionPause),
            ("Continue (yes/no)? ", nil, PromptDialogue.questionPause),
            ("パスワード：", nil, PromptDialogue.questionPause), ("Loading", nil, PromptDialogue.longPause),
            ("Loading", true, PromptDialogue.hiddenPause), ("Loading", false, PromptDialogue.longPause),
        ] as [(String, Bool?, UInt64)])
    func `What has no mark is one when nothing more comes`(text: String, isHidden: Bool?, pause: UInt64) {
        var dialogue = PromptDialogue(mark: nil)
        #expect(dialogue.look(text, quiet: 0, isHidden: isHidden) == .wait(pause))
        #expect(dialogue.look(text, quiet: pause - 1, isHidden: isHidden) == .wait(1))
        guard case .ask = dialogue.look(text, quiet: pause, isHidden: isHidden) else {
            Issue.record("not asked")
            return
        }
    }

    @Test func `What a shell writes on pipes once the question was answered is none`() {
        var su = PromptDialogue(mark: nil)
        #expect(su.look("Password:", quiet: long, isHidden: nil) != .nothing)
        su.answered()
        #expect(su.look("Loading modules:", quiet: long, isHidden: nil) == .nothing)
        #expect(su.look("Password cache:", quiet: long, isHidden: nil) == .nothing)
        #expect(su.look("Password:", quiet: long, isHidden: nil) == .rejected(text: "Password:"))
        for hasResponder in [false, true] {
            var sudo = PromptDialogue(mark: "m-17", hasResponder: hasResponder)
            #expect((sudo.look("Loading modules:", quiet: long, isHidden: nil) != .nothing) == hasResponder)
            sudo.answered()
            #expect(sudo.look("m-17 password:", quiet: long, isHidden: nil) != .nothing)
            sudo.answered()
            #expect((sudo.look("Password cache:", quiet: long, isHidden: nil) != .nothing) == hasResponder)
        }
        // Not all modules heed the mark.
        var other = PromptDialogue(mark: "m-17")
        #expect(other.look("Password for joe@EXAMPLE:", quiet: long, isHidden: nil) != .nothing)
    }

    @Test(
        arguments: [
            ("joe@web1's password: ", true), ("(joe@web1) Password: ", true), ("a@b@web1's password:", true),
            ("joe@db1's password:", true), ("joe@bastion's password:", false), ("(joe@bastion) Password:", false),
            ("Password:", false), ("(joe@bastion) joe@web1's password:", false), ("@", false), ("('s", false),
        ])
    func `With a jump host in between, a password is given to the target alone`(text: String, isGiven: Bool) {
        let start = "debug1: Executing proxy command: exec "
        let connector = SSHConnector("db1", password: Secret("x"))
        func kind(_ chatter: String...) -> Prompt.Kind {
            let prompt = Prompt(text: text, lines: [], kind: .other, isHidden: true, route: Route())
            return connector.kind(of: prompt, isMarked: false, behind: ["debug1: Reading configuration"] + chatter)
        }
        let jumps = [
            "ssh -F x -v -W '[web1]:22' bastion", "ssh -J a -W '[web1]:2222' bastion",
            "/usr/bin/ssh -W web1:22 bastion",
        ]
        for jump in jumps {
            // What comes behind may be of the host that is on the way.
            let forged = start + "ssh -W '[bastion]:22' web1"
            #expect((kind(start + jump, forged) == .password) == isGiven, "\(jump)")
        }
        #expect((kind(start + "ssh bastion nc web1 22") == .password) == text.contains("joe@db1"))
        if text.contains("assword") {
            #expect(kind(start + "nc web1 22") == .password)
            #expect(kind() == .password)
        }
    }

    @Test func `Only ssh itself asks for a passphrase`() {
        let connector = SSHConnector("web1")
        for (text, kind) in [
            ("Enter passphrase for key '/root/.ssh/id':", .passphrase),
            ("(joe@web1) Enter passphrase for key '/root/.ssh/id':", .other), ("Your passphrase:", .other),
        ] as [(String, Prompt.Kind)] {
            let prompt = Prompt(text: text, lines: [], kind: .other, isHidden: true, route: Route())
            #expect(connector.kind(of: prompt, isMarked: false, behind: []) == kind, "\(text)")
        }
    }

    @Test func `Blank text, or a question that is being answered, or the far side's own, is none`() {
        var dialogue = PromptDialogue(mark: nil)
        #expect(dialogue.look(" \r ", quiet: long, isHidden: true) == .nothing)
        #expect(dialogue.look("a:", quiet: long, isHidden: nil) == .ask(text: "a:", lines: [], isMarked: false))
        #expect(dialogue.look("b:", quiet: long, isHidden: nil) == .nothing)
        dialogue.answered()
        dialogue.end()
        #expect(dialogue.look("c:", quiet: long, isHidden: nil) == .nothing)
    }

    @Test func `The same question again means that the answer was wrong; there is an end to others`() {
        var dialogue = PromptDialogue(mark: nil)
        #expect(!dialogue.hasAnswered)
        _ = dialogue.look("Password: ", quiet: long, isHidden: true)
        dialogue.answered()
        #expect(dialogue.hasAnswered)
        #expect(dialogue.look("Password:", quiet: long, isHidden: true) == .rejected(text: "Password:"))
        var steps: [PromptDialogue.Step] = []
        for number in 1...30 {
            steps.append(dialogue.look("\(number)?", quiet: long, isHidden: false))
            dialogue.answered()
        }
        #expect(steps.last == .tooMany)
        #expect(steps.filter { $0 != .tooMany }.count == 15)
    }

    @Test func `What is shown is bounded and tame`() {
        var dialogue = PromptDialogue(mark: nil)
        for number in 1...100 { dialogue.line("\(number)\u{1b}[31m" + String(repeating: "x", count: 1000)) }
        guard
            case .ask(let text, let lines, _) = dialogue.look(
                "\u{7}" + String(repeating: "y", count: 9999) + ":", quiet: long, isHidden: nil)
        else {
            Issue.record("not asked")
            return
        }
        #expect(text.count == 500)
        #expect(lines.count == 20)
        #expect(lines.allSatisfy { $0.count <= 200 && !$0.contains("\u{1b}") })
        #expect(lines.last?.hasPrefix("100") == true)
    }

    @Test func `Random text never traps`() {
        var numbers = SystemRandomNumberGenerator()
        for _ in 1...2000 {
            var dialogue = PromptDialogue(mark: Bool.random() ? "mark" : nil)
            for _ in 1...20 {
                let bytes = (0..<Int.random(in: 0...40, using: &numbers)).map { _ in UInt8.random(in: 0...255) }
                let text = String(decoding: bytes, as: UTF8.self) + (Bool.random() ? "mark" : "")
                if Bool.random() { dialogue.line(text) }
                _ = dialogue.look(text, quiet: .random(in: 0...long), isHidden: Bool.random() ? nil : Bool.random())
                if Bool.random() { dialogue.answered() }
            }
        }
    }

    @Test(
        arguments: [
            ("joe@host's password:", .password), ("Enter passphrase for key '/k':", .passphrase),
            ("Are you sure you want to continue connecting (yes/no/[fingerprint])?", .hostKey),
            ("Verification code:", .oneTimeCode), ("Favourite colour?", .other), ("PASSWORD:", .password),
        ] as [(String, Prompt.Kind)])
    func `Words tell what is asked for`(text: String, kind: Prompt.Kind) { #expect(Prompt.Kind.guess(text) == kind) }
}

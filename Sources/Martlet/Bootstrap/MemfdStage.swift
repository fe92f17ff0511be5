/// The line that the second stage asks for when only an interpreter can make an executable place: an anonymous file in
/// RAM, which no mount option forbids to execute.
///
/// The interpreter replaces the shell, makes the file, and then speaks the second stage's part: `ready`, data line,
/// bytes. If it fails, it starts the second stage (the shell's `_s`) again, with the reasons so far, this one included.
package enum MemfdStage {
    package enum Interpreter: String, Sendable, CaseIterable {
        case python3, python, perl

        /// The label in reports.
        package var place: String { "memfd-\(rawValue)" }

        package init?(place: String) {
            guard let match = Self.allCases.first(where: { $0.place == place }) else { return nil }
            self = match
        }
    }

    /// The text to send, newline included.
    package static func line(_ interpreter: Interpreter) -> String {
        let arguments = "\"$_s\" \"$_R\" $_l $_S"
        switch interpreter {
        case .perl:
            return "exec perl -e '\(perl)' \(arguments)\n"
        case .python, .python3:
            // The program needs indentation but a line has no newlines, hence exec of a text.
            let program = python.split(separator: "\n").joined(separator: #"\n"#)
            return "exec \(interpreter.rawValue) -SEc 'exec(\"\"\"\(program)\\n\"\"\")' \(arguments)\n"
        }
    }

    /// For 2.7 and 3: `os.memfd_create`, or by ctypes before 3.8; 17 asks for an executable file, a flag that kernels
    /// before 6.3 do not know (EINVAL). Python ignores SIGPIPE and SIGXFSZ, and an ignored signal would stay ignored in
    /// the agent.
    private static let python = #"""
        import os,sys,signal
        _,s,r,l,N=sys.argv;E=os.environ
        def o(t):os.write(1,("MARTLET-"+E["MARTLET_AGENT"]+" "+t+"\\n").encode())
        q="no-memfd";n=0;z=","
        try:
         try:
          import zlib
          d=zlib.decompressobj(31);z=",gzip"
         except ImportError:pass
         m=getattr(os,"memfd_create",0)
         if not m:
          import ctypes
          c=ctypes.CDLL(None,use_errno=True).syscall
          k=dict(x86_64=319,i686=356,armv7l=385,ppc64le=360,s390x=350).get(os.uname()[4],279)
          def m(a,b):
           f=c(k,a.encode(),b)
           if f<0:raise OSError(ctypes.get_errno(),"")
           return f
         try:f=m("martlet",17)
         except OSError as x:
          if x.errno!=22:raise
          f=m("martlet",1)
         p=f
         if os.execve not in getattr(os,"supports_fd",()):
          q="no-proc";p="/proc/self/fd/%d"%f;os.stat(p)
         o("ready "+l+" 0 "+z+" - 0")
         b=a=os.read(0,1)
         while a!=b"\\n":
          if not a:os._exit(98)
          a=os.read(0,1);b+=a
         e,n=b.split()[:2];n=int(n);t=int(N)
         while n:
          a=os.read(0,min(n,65536))
          if not a:os._exit(98)
          n-=len(a);q="damaged"
          if e==b"gzip":a=d.decompress(a)
          t-=len(a);q="no-space"
          while a:a=a[os.write(f,a):]
         q="damaged"
         if t==0:
          for x in(signal.SIGPIPE,signal.SIGXFSZ):signal.signal(x,signal.SIG_DFL)
          o("start");q="exec-failed";os.execve(p,["martlet-agent"],E)
        except Exception:pass
        while n:
         a=os.read(0,min(n,65536))
         if not a:os._exit(98)
         n-=len(a)
        o("again "+l+":"+q)
        os.execvp("sh",["sh","-c","_s=$1;eval \\"$_s\\"","sh",s,r+" "+l+":"+q])
        """#

    /// perl-base is enough. Raw bytes only: there is no zlib in it, and a child that inflates could not be told from
    /// one that fails.
    private static let perl =
        #"($s,$r,$l,$N)=@ARGV;sub o{syswrite STDOUT,"MARTLET-$ENV{MARTLET_AGENT} @_\n"}"#
        + #"chomp($m=qx(uname -m));$k={x86_64=>319,i686=>356,armv7l=>385,ppc64le=>360,s390x=>350}->{$m}||279;"#
        + #"$a="martlet";$q="no-memfd";$f=syscall($k,$a,17);$f=syscall($k,$a,1)if$f<0&&$!==22;$p="/proc/self/fd/$f";"#
        + #"if($f>=0&&-e$p){o("ready $l 0 , - 0");"#
        + #"$t="";do{sysread(STDIN,$b,1)or exit 98;$t.=$b}until$b eq"\n";(undef,$n)=split" ",$t;"#
        + #"open F,">&=$f";$c=0;while($n>0){$g=sysread(STDIN,$b,$n>65536?65536:$n)or exit 98;$n-=$g;"#
        + #"$c+=syswrite(F,$b)||0}$q="no-space";if($c==$N){o"start";$q="exec-failed";exec{$p}"martlet-agent"}}"#
        + #"o("again $l:$q");exec"sh","-c",q(_s=$1;eval "$_s"),"sh",$s,"$r $l:$q""#
}

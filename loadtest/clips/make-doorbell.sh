#!/bin/sh
# Draws the doorbell clips anew, into the current folder. Needs ffmpeg >= 5.1 and the DejaVu fonts.
set -eu
FONT=${FONT:-/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf}

# Dusk, a house with a door, a doorbell that blinks, a visitor who walks up and back, and a frame counter.
head='lt(hypot(X-32,Y-22),20)'
body='between(Y,44,112)*lt(abs(X-32),24-10*lt(Y,52))'
legs='between(Y,113,148)*(lt(abs(X-20-6*sin(T*7)),8)+lt(abs(X-44+6*sin(T*7)),8))'
box='fontcolor=white:fontsize=18:box=1:boxcolor=0x00000080:boxborderw=6'
scene=$(tr -d '\n' <<SCENE
gradients=s=640x360:r=25:d=12:c0=0x14233f:c1=0xe08a4f:x0=320:y0=0:x1=320:y1=300:nb_colors=2:speed=0.00001,
drawbox=x=0:y=262:w=640:h=98:color=0x2f4a33:t=fill,
drawbox=x=430:y=60:w=210:h=210:color=0x6e4b3a:t=fill,
drawbox=x=418:y=48:w=222:h=14:color=0x3a2a24:t=fill,
drawbox=x=500:y=120:w=84:h=150:color=0x1f5f5b:t=fill,
drawbox=x=508:y=130:w=68:h=48:color=0x2f7f78:t=fill,
drawbox=x=508:y=190:w=68:h=70:color=0x2f7f78:t=fill,
drawbox=x=566:y=196:w=7:h=7:color=0xf3d36b:t=fill,
drawbox=x=478:y=180:w=10:h=18:color=0xe8e8e8:t=fill,
drawbox=x=480:y=186:w=6:h=6:color=0x3fa7ff:t=fill:enable='lt(mod(t,1),0.5)'[house];
color=c=0x000000:s=64x150:r=25:d=12,format=yuva444p,
geq=lum='if($head,190,if($body,95,58))':cb='if($head,112,if($body,160,128))':cr='if($head,152,if($body,106,128))':a='255*($head+$body+$legs)'[visitor];
[house][visitor]overlay=x='40+390*(0.5-0.5*cos(PI*t/6))':y='176+3*abs(sin(t*7))':eval=frame,
drawtext=fontfile=$FONT:text='LATCHKEY  front door':x=16:y=14:$box,
drawtext=fontfile=$FONT:text='%{pts\:hms}   frame %{eif\:n\:d\:3}':x=16:y=324:$box,
format=yuv420p[v]
SCENE
)
ffmpeg -hide_banner -loglevel error -y -filter_complex "$scene" -map '[v]' \
  -c:v libx264 -profile:v baseline -preset veryslow -bf 0 -refs 1 -g 50 -keyint_min 50 -sc_threshold 0 -crf 20 -threads 1 \
  -movflags +faststart -map_metadata -1 -fflags +bitexact -flags:v +bitexact doorbell.mp4

ffmpeg -hide_banner -loglevel error -y -i doorbell.mp4 -frames:v 250 \
  -c:v libvpx -b:v 130k -g 50 -auto-alt-ref 0 -lag-in-frames 0 -deadline good -cpu-used 0 -threads 1 \
  -fflags +bitexact -flags:v +bitexact doorbell-vp8.ivf

# Ding-dong, every three seconds.
chime="sine=f=659.26:d=12:r=48000,volume='0.35*exp(-3*mod(t,3))*lt(mod(t,3),0.6)':eval=frame[ding];
sine=f=523.25:d=12:r=48000,volume='0.35*exp(-2.2*(mod(t,3)-0.6))*gte(mod(t,3),0.6)':eval=frame[dong];
[ding][dong]amix=inputs=2:normalize=0[a]"
ffmpeg -hide_banner -loglevel error -y -filter_complex "$chime" -map '[a]' -ac 1 \
  -c:a libopus -b:a 16k -frame_duration 20 -application audio -map_metadata -1 -fflags +bitexact doorbell.opus.ogg
